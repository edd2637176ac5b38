//! What hostile bytes of a client must not do: end the server, hang it, or cost more memory than is allowed.
//!
//! Each function takes any bytes and panics if something is wrong with what becomes of them. The fuzzer in `fuzz/`
//! calls them with millions of inputs that it makes up by what they reach; the tests of this crate call them with
//! thousands of random ones that look like commands.
//!
//! | function | what it feeds | what it checks |
//! |---|---|---|
//! | [`reader`] | the reader of RESP and inline commands | the same commands however the bytes are cut; memory by what has come |
//! | [`commands`] | reader, connection, parser, encoding, two stores | encodings round trip; two stores of different seeds answer the same; every reply is one reply; what is deleted gives all memory back |
#![forbid(unsafe_code)]

mod client;
mod frames;
mod stores;

use bowline_server::resp::{ProtocolError, Reader};

use client::Client;
use stores::Stores;

/// What the reader may hold beside twice of what has come, in bytes.
const READER_OVERHEAD_BYTES: usize = 1024;

/// Reads `input`, without its first byte, as a whole and in pieces as long as that byte says.
///
/// # Panics
///
/// If the two make different commands, if the commands are not those that they say when they are written and read
/// again, or if the reader holds more than has come.
pub fn reader(input: &[u8]) {
    let Some((&piece, bytes)) = input.split_first() else { return };
    let whole = read(bytes.chunks(bytes.len().max(1)));
    let pieces = read(bytes.chunks(usize::from(piece % 32) + 1));
    assert_eq!(whole, pieces, "in pieces of {} bytes", piece % 32 + 1);
    let (commands, ..) = whole;
    let again: Vec<u8> = commands.iter().flat_map(|words| frames::command(words)).collect();
    assert_eq!(read(again.chunks(again.len().max(1))), (commands, None, 0), "written and read again");
}

type Read = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>, usize);

/// The commands in these pieces, the error behind them, and how many bytes are left of one that is not whole.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Read {
    let (mut reader, mut commands, mut come) = (Reader::new(), Vec::new(), 0);
    for piece in pieces {
        reader.buffer().extend_from_slice(piece);
        come += piece.len();
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => {
                    let words: Vec<Vec<u8>> = frame.args().iter().map(|word| word.to_vec()).collect();
                    assert!(!words.is_empty(), "a command without a name");
                    commands.push(words);
                }
                Ok(None) => break,
                Err(error) => return (commands, Some(error), 0),
            }
        }
        let capacity = reader.buffer().capacity();
        assert!(capacity <= 2 * come + READER_OVERHEAD_BYTES, "{capacity} bytes of room for {come}");
    }
    let said: usize = commands.iter().flatten().map(Vec::len).sum();
    assert!(said <= come, "{said} bytes of arguments in {come}");
    (commands, None, reader.pending_bytes())
}

/// The password of one server in eight.
const PASSWORD: &str = "x";

/// Sends `input` over a client's connection and carries out what it asks for. Its length says whether the server has a
/// password.
///
/// # Panics
///
/// If anything on the way does, and if one of the checks in the [table](self) fails.
pub fn commands(input: &[u8]) {
    let mut stores = Stores::take();
    let password = input.len().is_multiple_of(8).then_some(PASSWORD);
    Client::new(&mut stores, password).send(input);
    // To look at every slot takes longer than all else, so some inputs do, by what is in them: a fuzzer that likes one
    // of its bytes would like to do nothing else.
    if input.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0 {
        stores.assert_equal();
    }
    stores.give_back();
}
