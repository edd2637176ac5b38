//! Taking connections, and what happens when there are too many.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Client;
use crate::face::Connection;
use crate::shell::{self, Shell};

/// When no connection of this process ends, others may have given back a file by then.
const RETRY: Duration = Duration::from_secs(1);

/// A client that says nothing is asked by the system so often whether it is there, as in Redis.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(300);

/// Takes connections. Without a file for one more it waits until one has ended, and those that come wait in the
/// system's queue.
pub(crate) struct Acceptor {
    listener: TcpListener,
    /// Whose connections these are, for the log.
    whose: &'static str,
    is_out_of_files: bool,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, whose: &'static str) -> Self {
        Self { listener, whose, is_out_of_files: false }
    }

    /// The next connection, and where it comes from.
    pub(crate) async fn next(&mut self, shell: &Shell) -> (TcpStream, std::net::SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => {
                    if std::mem::take(&mut self.is_out_of_files) {
                        tracing::info!("takes connections of {} again", self.whose);
                    }
                    return accepted;
                }
                Err(error) => self.wait(&error, shell).await,
            }
        }
    }

    /// The connection stays in the queue, so another try at once would fail at once.
    async fn wait(&mut self, error: &io::Error, shell: &Shell) {
        if is_of_the_connection(error) {
            tokio::task::yield_now().await;
            return;
        }
        if !std::mem::replace(&mut self.is_out_of_files, true) {
            tracing::warn!(
                "cannot take connections of {}: {error}; they wait until another one has ended",
                self.whose
            );
        }
        let _ = tokio::time::timeout(RETRY, shell.closed.notified()).await;
    }
}

/// Whether it was the connection that failed, which is gone by that.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

/// Takes the clients' connections.
pub(crate) async fn clients(shell: Rc<Shell>, listener: TcpListener) {
    let mut acceptor = Acceptor::new(listener, "clients");
    let mut next_id = 1;
    loop {
        let (stream, peer) = acceptor.next(&shell).await;
        shell.stats.connections.set(shell.stats.connections.get() + 1);
        if shell.clients.borrow().len() as u64 >= shell.info.settings.max_clients() {
            shell.stats.refused_connections.set(shell.stats.refused_connections.get() + 1);
            let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
            continue;
        }
        // What cannot be set costs speed, or the knowledge that a silent client is gone.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        let local = stream.local_addr().unwrap_or(shell.info.listen);
        let connection = Connection::new(next_id, peer, local, &shell.info, shell::unix_us());
        next_id += 1;
        let client = Rc::new(Client::new(stream, connection));
        shell.clients.borrow_mut().insert(client.id, client.clone());
        let shell = shell.clone();
        tokio::task::spawn_local(async move {
            client.run(&shell).await;
            shell.clients.borrow_mut().remove(&client.id);
            shell.replica.borrow_mut().forget(client.id);
            // The socket is closed by this, unless somebody is just answering it.
            drop(client);
            shell.closed.notify_waiters();
        });
    }
}
