//! One connection: bytes out and replies in, whichever the socket takes first, so that a long pipeline in both
//! directions cannot get stuck.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::CONNECT_TIMEOUT;
use super::reply::{Malformed, Reader, Reply};

/// So long nothing may come while something is awaited: twice what a node holds a command before it answers that
/// there is no majority.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Link {
    stream: TcpStream,
    /// What is to be sent, and how much of it was.
    out: Vec<u8>,
    sent: usize,
    reader: Reader,
    /// When something last came, or was first awaited.
    quiet_since: Instant,
    watch: Pin<Box<Sleep>>,
}

impl Link {
    /// A connection on which the password has been said, if there is one.
    pub(super) async fn open(addr: SocketAddr, password: Option<&[u8]>) -> io::Result<Self> {
        let open = async {
            let mut link = Self::new(TcpStream::connect(addr).await?)?;
            if let Some(password) = password {
                link.log_in(password).await?;
            }
            Ok(link)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, open).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            out: Vec::new(),
            sent: 0,
            reader: Reader::new(),
            quiet_since: Instant::now(),
            watch: Box::pin(tokio::time::sleep(REPLY_TIMEOUT)),
        })
    }

    async fn log_in(&mut self, password: &[u8]) -> io::Result<()> {
        self.out.extend_from_slice(format!("*2\r\n$4\r\nAUTH\r\n${}\r\n", password.len()).as_bytes());
        self.out.extend_from_slice(password);
        self.out.extend_from_slice(b"\r\n");
        loop {
            poll_fn(|cx| self.poll(cx, true)).await?;
            match self.next_reply().map_err(|_| io::ErrorKind::InvalidData)? {
                Some(Reply::Error(word)) if word == "WRONGPASS" => {
                    let why = "the password was refused: WRONGPASS";
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
                }
                // Another error says that nobody has asked for one.
                Some(_) => return Ok(()),
                None => {}
            }
        }
    }

    /// Where requests are put to be sent by [`poll`](Self::poll).
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// From now on something is awaited.
    pub(super) fn awaits(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    /// Sends and receives until something has come. With `awaits` it is an error when nothing comes for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, awaits: bool) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.sent..])? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(bytes) => self.sent += bytes,
                Poll::Pending => break,
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        let mut space = ReadBuf::new(self.reader.space());
        if Pin::new(&mut self.stream).poll_read(cx, &mut space)?.is_ready() {
            let bytes = space.filled().len();
            self.reader.advance(bytes);
            return Poll::Ready(if bytes == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) });
        }
        if awaits { self.poll_watch(cx) } else { Poll::Pending }
    }

    /// Ready with an error when nothing has come for too long. The timer is set anew only when it rings: that is
    /// seldom, and setting it for each request would cost more than the request.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.watch.as_mut().poll(cx).is_ready() {
            let limit = self.quiet_since + REPLY_TIMEOUT;
            if limit <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.watch.as_mut().reset(limit.into());
        }
        Poll::Pending
    }

    /// The next whole reply among what has come.
    pub(super) fn next_reply(&mut self) -> Result<Option<Reply>, Malformed> {
        self.reader.next()
    }
}
