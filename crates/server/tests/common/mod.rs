//! One client's end, without a socket: bytes in, bytes out, by way of reader, connection and replies.

use std::cell::RefCell;
use std::rc::Rc;

use bowline_kv::{Command, Reply, Store};
use bowline_server::face::{Action, Connection, Metrics, NodeInfo, Record, Settings, info};
use bowline_server::resp::{Reader, Value};

/// The time at which everything happens: microseconds since 1970.
pub(crate) const NOW_US: u64 = 1_795_300_543_430_214;

pub(crate) fn node() -> NodeInfo {
    NodeInfo {
        node_id: 2,
        cluster: "blue".into(),
        run_id: "0123456789abcdef0123456789abcdef01234567".into(),
        pid: 4711,
        listen: "127.0.0.1:7380".parse().unwrap(),
        data_dir: "/data/2".into(),
        settings: Settings::new(None, 10_000, 20_000),
        record: Record::default(),
    }
}

pub(crate) struct Client {
    reader: Reader,
    pub connection: Connection,
    pub node: Rc<NodeInfo>,
    pub metrics: Metrics,
    pub is_open: bool,
    /// Where its commands for the store go. Without it they are answered by nil.
    pub store: Option<Rc<RefCell<Store>>>,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self::of(Rc::new(node()))
    }

    /// A client of that node.
    pub(crate) fn of(node: Rc<NodeInfo>) -> Self {
        Self {
            reader: Reader::new(),
            connection: Connection::new(
                7,
                "127.0.0.1:50000".parse().unwrap(),
                "127.0.0.1:7380".parse().unwrap(),
                &node,
                NOW_US - 3_000_000,
            ),
            node,
            metrics: Metrics::default(),
            is_open: true,
            store: None,
        }
    }

    fn execute(store: Option<&RefCell<Store>>, command: &Command<'_>) -> Reply {
        let Some(store) = store else { return Reply::Nil };
        let mut store = store.borrow_mut();
        let (now_ms, index) = (store.now_ms(), store.index() + 1);
        store.advance(now_ms, index);
        store.execute(command, index)
    }

    fn value_of(connection: &Connection, node: &NodeInfo, metrics: &Metrics, action: Action) -> Value {
        match action {
            Action::Reply(value) => value,
            Action::Info(sections) => Value::Verbatim(info::render(sections, node, metrics, NOW_US)),
            Action::ClientList(filter) => {
                let line = connection.describe(NOW_US);
                Value::Verbatim(if filter.keeps(connection) { line } else { String::new() })
            }
            Action::Save | Action::LastSave | Action::Role => Value::simple("by the caller"),
            Action::Kill(_) | Action::Pause(..) | Action::Unpause | Action::Wait(..) => {
                Value::simple("by the caller")
            }
            Action::ResetStats => Value::ok(),
            other => panic!("no answer by itself: {other:?}"),
        }
    }

    /// What is answered to these bytes. A command for the store is answered by nil.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        self.reader.buffer().extend_from_slice(bytes);
        let store = self.store.clone();
        while self.is_open {
            self.reader.trust(self.connection.is_trusted(&self.node));
            let value = match self.reader.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => match self.connection.handle(&frame.args(), &self.node, NOW_US) {
                    Action::Data => Some(match self.connection.parse(&frame.args()) {
                        Ok(command) => Self::execute(store.as_deref(), &command).into(),
                        Err(error) if self.store.is_some() => error.into(),
                        Err(_) => Value::Nil,
                    }),
                    Action::Exec(bytes) => {
                        let reply = Self::execute(store.as_deref(), &Command::decode(&bytes).unwrap());
                        Some(Connection::exec_value(reply))
                    }
                    Action::Await(bytes) => {
                        let reply = Self::execute(store.as_deref(), &Command::decode(&bytes).unwrap());
                        let (node, metrics) = (&self.node, &self.metrics);
                        let value_of = |connection: &Connection, action| {
                            Self::value_of(connection, node, metrics, action)
                        };
                        Some(self.connection.answered(reply, node, NOW_US, value_of))
                    }
                    Action::Digest => Some(Value::simple("by the caller")),
                    Action::Close(value) => {
                        self.is_open = false;
                        Some(value)
                    }
                    Action::Drop => {
                        self.is_open = false;
                        None
                    }
                    action => Some(Self::value_of(&self.connection, &self.node, &self.metrics, action)),
                },
                Err(error) => {
                    self.is_open = false;
                    Some(error.into())
                }
            };
            if let Some(value) = value {
                value.write(self.connection.protocol(), &mut out);
            }
        }
        String::from_utf8(out).expect("an answer in UTF-8")
    }

    /// What is answered to a command of these words.
    pub(crate) fn call(&mut self, words: &str) -> String {
        self.send(&frame(words))
    }
}

/// The command of these words, as a library sends it.
pub(crate) fn frame(words: &str) -> Vec<u8> {
    let words: Vec<&str> = words.split(' ').collect();
    let bulks = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", words.len(), bulks.collect::<String>()).into_bytes()
}
