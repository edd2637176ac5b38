//! Bytes that come from another node, on their way into frames.
//!
//! Frames are parts of the memory that was read into, and keep all of it. So a large one has memory of its own, as much
//! as it is long: the answers that wait for a slow client take what they are counted as, and are not copied while they
//! come.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::net::TcpStream;

use crate::frame::{FrameError, HEADER_BYTES, Header};

/// How much there is room for when something is read, in bytes. A longer frame is a large one.
const READ_BYTES: usize = 64 << 10;

/// What one connection has brought and nobody has taken.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: BytesMut,
    /// A frame whose end has not come. It is in front of the bytes, of which there are none until it is whole.
    large: Option<Large>,
}

#[derive(Debug)]
struct Large {
    header: Header,
    payload: Vec<u8>,
}

impl Inbox {
    /// Takes the next frame's payload, if all of it is there. A frame of more than `longest` bytes is an error before
    /// it has come.
    pub(crate) fn take(&mut self, longest: usize) -> Result<Option<Bytes>, FrameError> {
        if self.large.is_none() {
            let Some(header) = Header::of(&self.bytes) else { return Ok(None) };
            let length = header.length;
            if length > longest {
                return Err(FrameError::TooLarge { length, longest });
            }
            if self.bytes.len() - HEADER_BYTES >= length {
                self.bytes.advance(HEADER_BYTES);
                return header.check(self.bytes.split_to(length).freeze()).map(Some);
            }
            if length > READ_BYTES {
                self.begin_large(header)?;
            }
        }
        match self.large.take_if(|large| large.payload.len() == large.header.length) {
            Some(Large { header, payload }) => header.check(payload.into()).map(Some),
            None => Ok(None),
        }
    }

    /// What has come is the beginning of a large frame. Memory that nothing was written to is none yet, whatever the
    /// header says.
    fn begin_large(&mut self, header: Header) -> Result<(), FrameError> {
        let mut payload = Vec::new();
        payload.try_reserve_exact(header.length).map_err(|_| FrameError::NoMemory(header.length))?;
        payload.extend_from_slice(&self.bytes[HEADER_BYTES..]);
        self.bytes.clear();
        self.large = Some(Large { header, payload });
        Ok(())
    }

    /// Reads what has come, and hands back how many bytes that was: 0 at the end of the stream.
    pub(crate) fn try_read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        match &mut self.large {
            Some(Large { header, payload }) => {
                let missing = header.length - payload.len();
                stream.try_read_buf(&mut payload.limit(missing))
            }
            None => {
                self.bytes.reserve(READ_BYTES);
                stream.try_read_buf(&mut self.bytes)
            }
        }
    }

    /// The same, and waits for it. If this is dropped before it has ended nothing is lost.
    pub(crate) async fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        loop {
            stream.readable().await?;
            match self.try_read(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::frame;

    /// Longer than every frame here.
    const LONGEST: usize = 2 << 20;

    fn payload(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect()
    }

    /// Frames of these lengths, one behind the other.
    fn framed(lengths: &[usize]) -> Vec<u8> {
        let mut out = Vec::new();
        lengths.iter().for_each(|&length| frame::put(&mut out, |out| out.extend(payload(length))));
        out
    }

    /// What comes out of `bytes`, sent in pieces of so many, until there is an error or they end.
    async fn taken(bytes: &[u8], piece: usize) -> Vec<Result<Bytes, FrameError>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("it is bound");
        let mut there = TcpStream::connect(addr).await.expect("it listens");
        there.set_nodelay(true).expect("a socket");
        let (here, _) = listener.accept().await.expect("it was connected");
        let send = async {
            for piece in bytes.chunks(piece) {
                there.write_all(piece).await.expect("it is read");
                tokio::task::yield_now().await;
            }
            drop(there);
        };
        let receive = async {
            let (mut inbox, mut all) = (Inbox::default(), Vec::new());
            loop {
                while let Some(taken) = inbox.take(LONGEST).transpose() {
                    let is_error = taken.is_err();
                    all.push(taken);
                    if is_error {
                        while inbox.read(&here).await.expect("it is open") > 0 {
                            inbox = Inbox::default();
                        }
                        return all;
                    }
                }
                if inbox.read(&here).await.expect("it is open") == 0 {
                    return all;
                }
            }
        };
        tokio::join!(send, receive).1
    }

    #[tokio::test]
    async fn frames_come_back_however_they_are_cut() {
        let small = [3, 0, 7, 300];
        let large = [3, READ_BYTES, READ_BYTES + 1, 0, 1 << 20, 5, 100_000, 100_000, READ_BYTES - 1];
        for (lengths, piece) in
            [(&small[..], 1), (&small, 5), (&large, 997), (&large, 50_000), (&large, LONGEST)]
        {
            let expected: Vec<_> = lengths.iter().map(|&length| Ok(payload(length).into())).collect();
            assert!(taken(&framed(lengths), piece).await == expected, "{lengths:?} in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn a_large_frame_takes_no_more_memory_than_it_is_long() {
        for taken in taken(&framed(&[100_000, 700_000, READ_BYTES + 1]), LONGEST).await {
            let payload = Vec::from(taken.expect("intact"));
            assert_eq!(payload.capacity(), payload.len());
        }
    }

    #[tokio::test]
    async fn a_flipped_bit_is_noticed() {
        for (length, step) in [(3, 1), (READ_BYTES + 1, 99_991)] {
            let whole = framed(&[length]);
            for bit in (32..whole.len() * 8).step_by(step) {
                let mut damaged = whole.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(taken(&damaged, LONGEST).await, [Err(FrameError::Checksum)], "bit {bit}");
            }
        }
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_is_not_waited_for() {
        let error = FrameError::TooLarge { length: 0xffff_ffff, longest: LONGEST };
        assert_eq!(taken(&[0xff; HEADER_BYTES], LONGEST).await, [Err(error)]);
    }
}
