//! What can be changed while the server runs, by `CONFIG SET`: on this node, until its process ends.

use std::cell::{Cell, RefCell};
use std::fmt;

use subtle::ConstantTimeEq;

/// The longest password, in bytes. The longest that Redis documents.
pub const MAX_PASSWORD_BYTES: usize = 512;

/// What is changed by `CONFIG SET`.
#[derive(Debug)]
pub struct Settings {
    password: RefCell<Option<Password>>,
    max_clients: Cell<u64>,
    most_clients: u64,
    /// What takes longer goes to the slow log, in microseconds; negative: nothing does.
    slower_than_us: Cell<i64>,
    slow_log_len: Cell<usize>,
}

/// As in Redis.
const SLOWER_THAN_US: i64 = 10_000;

/// As in Redis.
const SLOW_LOG_LEN: usize = 128;

/// The most that the slow log may be told to keep.
pub(super) const MAX_SLOW_LOG_LEN: i64 = 65_536;

impl Settings {
    /// `max_clients` may be connected at once, and it may later be set as high as `most_clients`, for which there are
    /// files. Without a password every client may do everything.
    pub fn new(password: Option<Password>, max_clients: u64, most_clients: u64) -> Self {
        Self {
            password: RefCell::new(password),
            max_clients: Cell::new(max_clients),
            most_clients,
            slower_than_us: Cell::new(SLOWER_THAN_US),
            slow_log_len: Cell::new(SLOW_LOG_LEN),
        }
    }

    /// Whether a client has to say a password before anything else.
    pub fn has_password(&self) -> bool {
        self.password.borrow().is_some()
    }

    /// Whether `given` is the password. Without one nothing is.
    pub fn is_password(&self, given: &[u8]) -> bool {
        self.password.borrow().as_ref().is_some_and(|password| password.is(given))
    }

    /// The password; empty if there is none.
    pub(super) fn password_text(&self) -> Vec<u8> {
        self.password.borrow().as_ref().map_or_else(Vec::new, |password| password.text().to_vec())
    }

    pub(super) fn set_password(&self, password: Option<Password>) {
        *self.password.borrow_mut() = password;
    }

    /// How many clients may be connected at once.
    pub fn max_clients(&self) -> u64 {
        self.max_clients.get()
    }

    /// How many that may be at most.
    pub(super) fn most_clients(&self) -> u64 {
        self.most_clients
    }

    /// Whether a command that took so many microseconds goes to the slow log.
    pub fn is_slow(&self, took_us: u64) -> bool {
        u64::try_from(self.slower_than_us.get()).is_ok_and(|limit| took_us >= limit)
    }

    /// Whether any command may go there.
    pub fn has_slow_log(&self) -> bool {
        self.slower_than_us.get() >= 0 && self.slow_log_len.get() > 0
    }

    pub(super) fn slower_than_us(&self) -> i64 {
        self.slower_than_us.get()
    }

    pub(super) fn set_slower_than_us(&self, us: i64) {
        self.slower_than_us.set(us);
    }

    pub(super) fn slow_log_len(&self) -> usize {
        self.slow_log_len.get()
    }

    pub(super) fn set_slow_log_len(&self, len: usize) {
        self.slow_log_len.set(len);
    }

    pub(super) fn set_max_clients(&self, max_clients: u64) {
        self.max_clients.set(max_clients);
    }
}

/// What a client must know to be served.
#[derive(Clone)]
pub struct Password {
    padded: Box<[u8; MAX_PASSWORD_BYTES]>,
    length: usize,
}

/// It has no bytes, or more than [`MAX_PASSWORD_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a password has 1 to {MAX_PASSWORD_BYTES} bytes, and not {0}")]
pub struct BadPassword(pub usize);

impl Password {
    /// Any bytes.
    ///
    /// # Errors
    ///
    /// [`BadPassword`] if they are none or too many.
    pub fn new(text: &[u8]) -> Result<Self, BadPassword> {
        if text.is_empty() || text.len() > MAX_PASSWORD_BYTES {
            return Err(BadPassword(text.len()));
        }
        Ok(Self { padded: Box::new(padded(text)), length: text.len() })
    }

    /// Whether `given` is this password. All are compared as if they were the longest one, so that the time tells
    /// neither how long the password is nor how much of a guess was right.
    pub fn is(&self, given: &[u8]) -> bool {
        let is_as_long = (self.length as u64).ct_eq(&(given.len() as u64));
        (self.padded.ct_eq(&padded(given)) & is_as_long).into()
    }

    fn text(&self) -> &[u8] {
        &self.padded[..self.length]
    }
}

/// The bytes, as far as a password goes, and zeros behind them.
fn padded(text: &[u8]) -> [u8; MAX_PASSWORD_BYTES] {
    let mut padded = [0; MAX_PASSWORD_BYTES];
    let length = text.len().min(MAX_PASSWORD_BYTES);
    padded[..length].copy_from_slice(&text[..length]);
    padded
}

impl fmt::Debug for Password {
    /// Says nothing: what is printed may be kept.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_is_the_password() {
        let longest = [b'x'; MAX_PASSWORD_BYTES];
        for right in [&b"secret"[..], b"s", b"with\0zero", &longest] {
            let password = Password::new(right).expect("a password");
            assert!(password.is(right));
            assert!(!password.is(b""));
            assert!(!password.is(&right[1..]));
            assert!(!password.is(&[right, b"\0"].concat()), "zeros behind it are another one");
            assert!(!password.is(&[right, b"y"].concat()));
            assert!(!password.is(&right.to_ascii_uppercase()));
        }
        assert_eq!(Password::new(b"").err(), Some(BadPassword(0)));
        assert_eq!(Password::new(&[b'x'; MAX_PASSWORD_BYTES + 1]).err(), Some(BadPassword(513)));
        assert_eq!(format!("{:?}", Password::new(b"secret")), "Ok(Password)");
    }
}
