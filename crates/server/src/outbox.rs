//! Bytes on their way into a socket.
//!
//! Whoever has something to say appends it here; once a pass all of it is written with one call.
//! Only what the socket does not take at once is left to a task, which waits until it does.

use std::cell::{Cell, RefCell};
use std::io;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A buffer that grew beyond this is given back when it is empty, in bytes.
const KEEP_BYTES: usize = 256 << 10;

/// The same where there are many connections, most of them idle.
const KEEP_FRUGAL_BYTES: usize = 2 << 10;

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
        let flushed = self.written.get() - before;
        if self.written.get() == bytes.len() {
            bytes.clear();
            bytes.shrink_to(self.keep_bytes);
            self.written.set(0);
        }
        Ok(flushed)
    }

    /// Writes at once, and rings for the task if something is left over.
    pub(crate) fn flush_or_ring(&self, stream: &TcpStream) -> io::Result<usize> {
        let flushed = self.flush(stream)?;
        if !self.is_empty() {
            self.bell.notify_one();
        }
        Ok(flushed)
    }

    /// Waits until the socket is ready for what there is to do with it, or the bell rings.
    pub(crate) async fn wait(&self, stream: &TcpStream, wants_to_read: bool) -> io::Result<()> {
        let interest = match (wants_to_read, !self.is_empty()) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        match interest {
            None => self.bell.notified().await,
            Some(interest) => tokio::select! {
                ready = stream.ready(interest) => {
                    ready?;
                }
                () = self.bell.notified() => {}
            },
        }
        Ok(())
    }
}
