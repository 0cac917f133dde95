//! A link between a worker and its coordinator that a test can cut, mend or delay.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Forwards connections to a port on this machine.
pub(crate) struct Link {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    /// Delay of each piece of data in milliseconds.
    delay: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// Listens on a new port and forwards connections to `target`.
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let state = Arc::new(State::default());
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                // If no process listens or the link is cut, the connection ends at once.
                let far = TcpStream::connect(("127.0.0.1", target));
                if let (false, Ok(far)) = (accepting.is_cut.load(Ordering::SeqCst), far) {
                    accepting.join(near, far);
                }
            }
        });
        Self { port, state }
    }

    /// Breaks all connections, and rejects new ones until the link is mended.
    pub(crate) fn cut(&self) {
        self.state.is_cut.store(true, Ordering::SeqCst);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections again.
    pub(crate) fn mend(&self) {
        self.state.is_cut.store(false, Ordering::SeqCst);
    }

    /// Delays all data from now on.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.state.delay.store(delay.as_millis().try_into().expect("a short time"), Ordering::SeqCst);
    }
}

impl State {
    /// Copies data between two connections in both directions.
    fn join(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        // Set `TCP_NODELAY` like both ends do, or small messages wait for each other's
        // acknowledgement, 40 ms each.
        for stream in [&near, &far] {
            stream.set_nodelay(true).expect("a connected socket");
        }
        let copies = [&near, &far].map(|stream| stream.try_clone().expect("a socket can be shared"));
        self.open.lock().unwrap().extend(copies);
        for (mut from, mut to) in [(&near, &far), (&far, &near)]
            .map(|(from, to)| (from.try_clone().expect("a socket"), to.try_clone().expect("a socket")))
        {
            let state = Arc::clone(self);
            std::thread::spawn(move || {
                let mut piece = vec![0; 64 * 1024];
                while let Ok(bytes @ 1..) = from.read(&mut piece) {
                    std::thread::sleep(Duration::from_millis(state.delay.load(Ordering::SeqCst)));
                    if to.write_all(&piece[..bytes]).is_err() {
                        break;
                    }
                }
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
    }
}
