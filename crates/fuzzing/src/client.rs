//! A client's connection without a socket: what the server's loop does with what arrives, and nothing that needs
//! the loop's own figures.

use bowline_kv::command::SessionCommand;
use bowline_kv::{Command, Reply};
use bowline_server::face::{Action, Connection, NodeInfo, Password, Record, Settings};
use bowline_server::resp::{Reader, Value};

use crate::frames;
use crate::stores::{Stores, check_encoding};

/// The time of everything about the connection, in microseconds since 1970.
const NOW_US: u64 = 1_795_300_543_430_214;

pub(crate) struct Client<'a> {
    connection: Connection,
    node: NodeInfo,
    stores: &'a mut Stores,
}

impl<'a> Client<'a> {
    /// A client of a server with that password.
    pub(crate) fn new(stores: &'a mut Stores, password: Option<&str>) -> Self {
        let password = password.map(|text| Password::new(text.as_bytes()).expect("it is short"));
        let address = || "127.0.0.1:7379".parse().expect("an address");
        let node = NodeInfo {
            node_id: 1,
            cluster: "fuzzed".to_owned(),
            run_id: "0".repeat(40),
            pid: 1,
            listen: address(),
            data_dir: "/data".to_owned(),
            settings: Settings::new(password, 10_000, 20_000),
            record: Record::default(),
        };
        let connection = Connection::new(1, address(), address(), &node, NOW_US);
        Self { connection, node, stores }
    }

    /// Carries out what these bytes ask for, to their end or that of the connection.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut reader = Reader::new();
        reader.buffer().extend_from_slice(bytes);
        while self.stores.have_room() {
            reader.trust(self.connection.is_trusted(&self.node));
            let value = match reader.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => self.handle(&frame.args()),
                Err(error) => return self.answer(&error.into()),
            };
            match value {
                Some(value) => self.answer(&value),
                None => return,
            }
        }
    }

    /// The reply to a command; none if the connection ends by it.
    fn handle(&mut self, args: &[&[u8]]) -> Option<Value> {
        let value = match self.connection.handle(args, &self.node, NOW_US) {
            Action::Data => match self.connection.parse(args) {
                Ok(command) => self.execute(&command).into(),
                Err(error) => error.into(),
            },
            Action::Exec(bytes) => Connection::exec_value(self.execute_encoded(&bytes)),
            Action::Await(bytes) => {
                let reply = self.execute_encoded(&bytes);
                self.connection.answered(reply, &self.node, NOW_US, |_, action| match action {
                    Action::Reply(value) => value,
                    _ => Value::ok(),
                })
            }
            Action::Reply(value) => value,
            Action::Close(value) => {
                self.answer(&value);
                return None;
            }
            Action::Drop => return None,
            // The loop's own figures.
            _ => Value::ok(),
        };
        Some(value)
    }

    fn execute_encoded(&mut self, bytes: &[u8]) -> Reply {
        self.execute(&Command::decode(bytes).expect("the connection has encoded it"))
    }

    /// What the replica does with it, where every request of a session is its first sending.
    fn execute(&mut self, command: &Command<'_>) -> Reply {
        let Command::Session(session) = command else { return self.stores.execute(command) };
        check_encoding(command);
        match session {
            SessionCommand::Run { command, .. } => self.stores.execute(command),
            SessionCommand::Open | SessionCommand::Close { .. } | SessionCommand::SetLimits(_) => Reply::Ok,
        }
    }

    /// What is sent is one reply, whatever is in it.
    fn answer(&self, value: &Value) {
        let mut out = Vec::new();
        value.write(self.connection.protocol(), &mut out);
        assert!(frames::behind_reply(&out).is_empty(), "more than one reply: {}", out.escape_ascii());
    }
}
