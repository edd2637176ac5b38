//! Bytes on their way into a socket.
//!
//! Whoever has something to say appends it here; once a pass all of it is written with one call.
//! Only what the socket does not take at once is left to a task, which waits until it does.

use std::cell::{Cell, RefCell};
use std::io;

use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A buffer that grew beyond this is given back when it is empty, in bytes.
const KEEP_BYTES: usize = 256 << 10;

/// The same where there are many connections, most of them idle.
const KEEP_FRUGAL_BYTES: usize = 2 << 10;

/// What a connection waits for beside the room to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Bytes to read, or their end.
    Bytes,
    /// The end of what the other side sends, though nothing is read.
    End,
    /// Nothing: it is seen only if the connection fails.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    bytes: RefCell<Vec<u8>>,
    keep_bytes: usize,
    /// How many of them are written.
    written: Cell<usize>,
    /// Rung when the task that waits for the socket should look again.
    pub(crate) bell: Notify,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            bytes: RefCell::default(),
            keep_bytes: KEEP_BYTES,
            written: Cell::default(),
            bell: Notify::new(),
        }
    }
}

impl Outbox {
    /// One that keeps little memory when it is empty.
    pub(crate) fn frugal() -> Self {
        Self { keep_bytes: KEEP_FRUGAL_BYTES, ..Self::default() }
    }

    /// Lets `append` add to what is to be written.
    pub(crate) fn push(&self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.bytes.borrow_mut());
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.borrow().len() - self.written.get()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what waits: it was for a connection that is gone.
    pub(crate) fn clear(&self) {
        self.bytes.borrow_mut().clear();
        self.written.set(0);
    }

    /// Writes what the socket takes now, and hands back how many bytes that was.
    pub(crate) fn flush(&self, stream: &TcpStream) -> io::Result<usize> {
        let mut bytes = self.bytes.borrow_mut();
        let before = self.written.get();
        while self.written.get() < bytes.len() {
            match stream.try_write(&bytes[self.written.get()..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written.set(self.written.get() + count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let written = self.written.get();
        if written == bytes.len() {
            bytes.clear();
            bytes.shrink_to(self.keep_bytes);
            self.written.set(0);
        } else if written > bytes.len() / 2 {
            // There may always be more to write. What is moved is less than what was written since the last time.
            bytes.drain(..written);
            self.written.set(0);
        }
        Ok(written - before)
    }

    /// Writes at once, and rings for the task if something is left over.
    pub(crate) fn flush_or_ring(&self, stream: &TcpStream) -> io::Result<usize> {
        let flushed = self.flush(stream)?;
        if !self.is_empty() {
            self.bell.notify_one();
        }
        Ok(flushed)
    }

    /// Waits until the socket is ready for what there is to do with it, and hands back for what; or until the bell rings.
    pub(crate) async fn wait(&self, stream: &TcpStream, wanted: Wanted) -> io::Result<Ready> {
        let mut interest = match wanted {
            Wanted::Bytes => Interest::READABLE,
            // Nobody sends anything of priority; what shows with it is that nothing more will come.
            Wanted::End => Interest::PRIORITY | Interest::ERROR,
            Wanted::Nothing => Interest::ERROR,
        };
        if !self.is_empty() {
            interest |= Interest::WRITABLE;
        }
        tokio::select! {
            ready = stream.ready(interest) => ready,
            () = self.bell.notified() => Ok(Ready::EMPTY),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// So much always waits.
    const LIMIT: usize = 1 << 20;

    /// Two ends of a connection that holds less than [`LIMIT`].
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(256 << 10).expect("a socket");
        let addr = listener.local_addr().expect("it is bound");
        let (there, here) = tokio::join!(socket.connect(addr), listener.accept());
        let (here, _) = here.expect("it was connected");
        socket2::SockRef::from(&here).set_send_buffer_size(128 << 10).expect("a socket");
        (here, there.expect("it listens"))
    }

    /// What is sent at that place.
    fn byte_at(place: usize) -> u8 {
        (place % 251).to_le_bytes()[0]
    }

    #[tokio::test]
    async fn what_a_slow_reader_has_read_takes_no_memory() {
        let (here, there) = connected().await;
        let outbox = Outbox::default();
        let (mut read, mut pushed, mut most) = (0_usize, 0_usize, 0);
        let mut buffer = vec![0; 64 << 10];
        while read < 32 << 20 {
            // Full again and again, until the socket takes nothing more.
            while outbox.flush(&here).expect("it is open") > 0 || outbox.len() < LIMIT {
                while outbox.len() < LIMIT {
                    outbox.push(|out| out.extend((pushed..pushed + 4096).map(byte_at)));
                    pushed += 4096;
                }
                most = most.max(outbox.bytes.borrow().capacity());
            }
            there.readable().await.expect("it is open");
            if let Ok(count) = there.try_read(&mut buffer) {
                assert!((read..).map(byte_at).zip(&buffer).take(count).all(|(sent, got)| sent == *got));
                read += count;
            }
            tokio::task::yield_now().await;
        }
        assert!(most <= 4 * LIMIT, "{most} bytes for {LIMIT} that wait");
    }

    #[tokio::test]
    async fn the_end_is_seen_behind_bytes_that_are_not_read() {
        let (here, there) = connected().await;
        let outbox = Outbox::default();
        there.writable().await.expect("it is open");
        there.try_write(b"unread").expect("there is room");
        here.readable().await.expect("it is open");
        let short = Duration::from_millis(50);
        for wanted in [Wanted::End, Wanted::Nothing] {
            let waited = tokio::time::timeout(short, outbox.wait(&here, wanted)).await;
            assert!(waited.is_err(), "{wanted:?}: bytes are no end: {waited:?}");
        }
        socket2::SockRef::from(&there).shutdown(std::net::Shutdown::Write).expect("it is open");
        let ready = tokio::time::timeout(Duration::from_secs(10), outbox.wait(&here, Wanted::End)).await;
        assert!(ready.expect("it has ended").expect("it has not failed").is_read_closed());
        let waited = tokio::time::timeout(short, outbox.wait(&here, Wanted::Nothing)).await;
        assert!(waited.is_err(), "a half that is closed is no failure: {waited:?}");
        socket2::SockRef::from(&there).set_linger(Some(Duration::ZERO)).expect("it is open");
        drop(there);
        let ready = tokio::time::timeout(Duration::from_secs(10), outbox.wait(&here, Wanted::Nothing)).await;
        assert!(ready.expect("it was reset").expect("it has not failed").is_error());
    }
}
