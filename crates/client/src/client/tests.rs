use std::net::Ipv4Addr;

use bowline_kv::command::{MAX_TRANSACTION_COMMANDS, MAX_VALUE_BYTES};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

async fn node() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    (listener, addr)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

/// Reads exactly this command, and answers it.
async fn answer(stream: &mut TcpStream, command: &str, reply: &[u8]) {
    let mut frame = Vec::new();
    resp::encode(command.split(' ').collect::<Vec<_>>().iter(), &mut frame);
    let mut read = vec![0; frame.len()];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(read, frame, "{}", read.escape_ascii());
    stream.write_all(reply).await.unwrap();
}

#[test]
fn a_transaction_that_no_node_takes_is_refused_before_it_is_sent() {
    run(async {
        // Nobody is asked, for nobody would answer.
        let (_listener, addr) = node().await;
        let mut client = Client::new([addr]);
        let value = "v".repeat(MAX_VALUE_BYTES);
        let large = client.transaction([["SET", "a", &value], ["SET", "b", &value]]).await;
        let many = client.transaction(vec![["GET", "a"]; MAX_TRANSACTION_COMMANDS + 1]).await;
        let long = client.transaction(vec![vec!["DEL"; 1024]; 1025]).await;
        for refused in [large, many, long] {
            assert!(
                matches!(&refused, Err(CallError::NotExecuted(why)) if why.contains("exceeds maximum")),
                "{:?}",
                refused.err()
            );
        }
    });
}

#[test]
fn a_limit_that_no_clock_can_show_is_none() {
    run(async {
        let (listener, addr) = node().await;
        for limit in [Duration::from_secs(i64::MAX.unsigned_abs()), Duration::MAX] {
            let mut client = Client::new([addr.clone()]).with_time_limit(Some(limit));
            let node = async {
                let mut stream = accept(&listener).await;
                answer(&mut stream, "GET k", b"$1\r\nv\r\n").await;
                stream
            };
            assert_eq!(tokio::join!(client.get("k"), node).0.unwrap(), "v");
        }
    });
}

#[test]
fn a_session_that_one_node_cannot_close_is_closed_by_the_next() {
    run(async {
        let ((first, first_addr), (second, second_addr)) = (node().await, node().await);
        let mut client = Client::new([first_addr, second_addr]);
        let client = async {
            client.put("k", "v").await.unwrap();
            client.close().await;
        };
        let first = async {
            let mut stream = accept(&first).await;
            answer(&mut stream, "ONCE OPEN", b":7\r\n").await;
            answer(&mut stream, "ONCE 7 1 SET k v", b"+OK\r\n").await;
            answer(&mut stream, "ONCE CLOSE 7", b"-CLUSTERDOWN nobody leads\r\n").await;
            stream
        };
        let second = async {
            let mut stream = accept(&second).await;
            answer(&mut stream, "ONCE CLOSE 7", b"+OK\r\n").await;
        };
        tokio::select! {
            biased;
            () = second => {}
            _ = async { tokio::join!(client, first) } => panic!("the second node was not asked"),
        }
    });
}
