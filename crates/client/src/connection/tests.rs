use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use super::*;

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(3600);

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

async fn node() -> (TcpListener, Connection) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let connection = Connection::new(listener.local_addr().unwrap().to_string());
    (listener, connection)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// Reads exactly this.
async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut read = vec![0; bytes.len()];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(read, bytes, "{}", read.escape_ascii());
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

async fn ping(connection: &Connection) -> Result<Reply, Lost> {
    connection.call(&[b"PING"], Some(Instant::now() + LONG)).await
}

#[test]
fn each_caller_gets_the_reply_to_what_it_asked() {
    run(async {
        let (listener, connection) = node().await;
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, &PING.repeat(3)).await;
            stream.write_all(b":1\r\n:2\r\n:3\r\n").await.unwrap();
            stream
        };
        let (first, second, third, mut stream) =
            tokio::join!(ping(&connection), ping(&connection), ping(&connection), node);
        assert_eq!([first, second, third], [1, 2, 3].map(|number| Ok(Reply::Int(number))));
        // Of commands in one piece the last one's reply is wanted, and the connection goes on.
        let both = connection.ask(PING.repeat(2), 2, None);
        let node = async {
            expect(&mut stream, &PING.repeat(2)).await;
            stream.write_all(b":4\r\n:5\r\n").await.unwrap();
        };
        assert_eq!(tokio::join!(both, node).0, Ok(Reply::Int(5)));
    });
}

#[test]
fn a_caller_that_gives_up_does_not_take_the_next_ones_reply() {
    run(async {
        let (listener, connection) = node().await;
        {
            let mut abandoned = Box::pin(ping(&connection));
            let stream = async {
                let mut stream = accept(&listener).await;
                expect(&mut stream, PING).await;
                stream
            };
            let mut stream = tokio::select! {
                stream = stream => stream,
                reply = &mut abandoned => panic!("nobody has answered: {reply:?}"),
            };
            drop(abandoned);
            let node = async {
                expect(&mut stream, PING).await;
                stream.write_all(b":1\r\n:2\r\n").await.unwrap();
            };
            assert_eq!(tokio::join!(ping(&connection), node).0, Ok(Reply::Int(2)));
        }
    });
}

#[test]
fn what_was_given_up_before_it_left_is_never_sent() {
    run(async {
        let (listener, connection) = node().await;
        // The task that would send it does not run before this deadline.
        let past = Instant::now().checked_sub(Duration::from_secs(1));
        assert!(past.is_some());
        let late = connection.call(&[b"INCR", b"a"], past).await;
        assert!(matches!(&late, Err(Lost::NotSent(_))), "{late:?}");
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, PING).await;
            stream.write_all(b"+PONG\r\n").await.unwrap();
        };
        assert_eq!(tokio::join!(ping(&connection), node).0, Ok(Reply::Simple("PONG".into())));
    });
}

#[test]
fn what_left_and_was_not_answered_may_have_happened() {
    run(async {
        let (listener, connection) = node().await;
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, PING).await;
        };
        let (reply, ()) = tokio::join!(ping(&connection), node);
        assert_eq!(reply, Err(Lost::Unanswered("the connection was closed before the answer".to_owned())));
        // A connection that was lost is made again.
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, PING).await;
            stream
        };
        let deadline = Some(Instant::now() + Duration::from_millis(200));
        let (reply, _stream) = tokio::join!(connection.call(&[b"PING"], deadline), node);
        assert_eq!(reply, Err(Lost::Unanswered("no answer in time".to_owned())));
    });
}

#[test]
fn what_never_left_whole_did_not_happen() {
    run(async {
        let (listener, connection) = node().await;
        let addr = connection.addr().to_owned();
        let value = vec![b'v'; 64 << 20];
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, b"*3\r\n$3\r\nSET\r\n").await;
        };
        let command: [&[u8]; 3] = [b"SET", b"k", &value];
        let (reply, ()) = tokio::join!(connection.call(&command, None), node);
        assert!(matches!(&reply, Err(Lost::NotSent(_))), "{reply:?}");
        drop(listener);
        let reply = Connection::new(addr).call(&[b"PING"], None).await;
        assert!(matches!(&reply, Err(Lost::NotSent(why)) if why.contains("refused")), "{reply:?}");
    });
}

#[test]
fn a_node_that_takes_no_more_clients_has_done_nothing() {
    run(async {
        let (listener, connection) = node().await;
        let node = async {
            let mut stream = accept(&listener).await;
            stream.write_all(b"-ERR max number of clients reached\r\n").await.unwrap();
            expect(&mut stream, PING).await;
        };
        let (reply, ()) = tokio::join!(ping(&connection), node);
        assert!(matches!(&reply, Err(Lost::NotSent(_))), "{reply:?}");
    });
}

#[test]
fn the_password_comes_first_and_its_refusal_is_the_reply() {
    const AUTH: &[u8] = b"*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$6\r\nsecret\r\n";
    let taken = Reply::Simple("PONG".into());
    let refused = Reply::error_text("WRONGPASS no");
    for (answer, expected) in
        [(&b"+OK\r\n+PONG\r\n"[..], taken), (b"-WRONGPASS no\r\n-NOAUTH who are you\r\n", refused)]
    {
        run(async {
            let (listener, connection) = node().await;
            let connection = connection.with_password(Some(b"secret"));
            assert!(!format!("{connection:?}").contains("secret"));
            let node = async {
                let mut stream = accept(&listener).await;
                expect(&mut stream, &[AUTH, PING].concat()).await;
                stream.write_all(answer).await.unwrap();
                stream
            };
            assert_eq!(tokio::join!(ping(&connection), node).0, Ok(expected));
        });
    }
}

#[test]
fn a_stranger_is_called_so_and_believed_nothing() {
    // What is a reply, although to nothing that was asked behind it, is believed.
    for (answer, first) in
        [(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], None), (b"+OK\r\n+OK\r\n", Some(Reply::Ok))]
    {
        run(async {
            let (listener, connection) = node().await;
            let node = async {
                let mut stream = accept(&listener).await;
                expect(&mut stream, PING).await;
                stream.write_all(answer).await.unwrap();
                // Until the other side closes.
                assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
            };
            let (reply, ()) = tokio::join!(ping(&connection), node);
            match first {
                Some(first) => assert_eq!(reply, Ok(first)),
                None => assert!(
                    matches!(&reply, Err(Lost::Unanswered(why)) if why.contains("not a Redis server")),
                    "{reply:?}"
                ),
            }
        });
    }
}

#[test]
fn a_node_that_says_nothing_any_more_is_given_up() {
    run(async {
        let (listener, mut connection) = node().await;
        connection.patience = Duration::from_millis(100);
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, PING).await;
            stream
        };
        let (reply, _stream) = tokio::join!(connection.call(&[b"PING"], None), node);
        assert_eq!(reply, Err(Lost::Unanswered("no answer in time".to_owned())));
    });
}

#[test]
fn a_node_that_says_nothing_is_given_up_also_while_others_go_on_asking_it() {
    run(async {
        let (listener, mut connection) = node().await;
        connection.patience = Duration::from_millis(200);
        let pause = connection.patience / 2;
        let asked = connection.call(&[b"PING"], None);
        // Each of these is written while the first one waits.
        let others = async {
            for _ in 0..20 {
                let _ = connection.call(&[b"PING"], Some(Instant::now() + pause)).await;
            }
        };
        let node = async {
            let mut stream = accept(&listener).await;
            expect(&mut stream, PING).await;
            stream
        };
        let first = async { tokio::join!(asked, node) };
        let (reply, _stream) = tokio::select! {
            reply = first => reply,
            () = others => panic!("it was waited for while twenty others gave up"),
        };
        assert_eq!(reply, Err(Lost::Unanswered("no answer in time".to_owned())));
    });
}
