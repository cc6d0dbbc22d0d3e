//! One socket a run: the socket is the run's identity, and only its own sandbox sees it.

use std::{
    collections::HashMap,
    fs, io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::ids::RunId;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    connection,
    gateway::{Door, Doors, Gateway},
    policy::{Policies, Policy},
};

const SOCKET: &str = "gateway.sock";
/// Connections of one run at a time.
const CONNECTIONS: usize = 256;
/// How often the sockets on disk are compared with what should be there.
const LOOK: Duration = Duration::from_secs(2);
/// How long requests under way may take when the gateway stops.
const DRAIN: Duration = Duration::from_secs(3);

/// Keeps one listener for each run of the policy, and none for any other.
pub(crate) struct Listeners {
    gateway: Arc<Gateway>,
    sockets: PathBuf,
    runs: HashMap<RunId, Running>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// The same doors, for those who come over TCP.
    doors: Doors,
}

struct Running {
    policy: watch::Sender<Policy>,
    /// The run's listener ends, and so does everything that it let in.
    closed: CancellationToken,
    /// Device and inode of the socket.
    socket: (u64, u64),
}

impl Listeners {
    pub(crate) fn new(gateway: Arc<Gateway>, sockets: &Path, doors: Doors) -> io::Result<Self> {
        fs::create_dir_all(sockets)?;
        // A sandbox's user must get through, and need not see whose sockets there are.
        fs::set_permissions(sockets, fs::Permissions::from_mode(0o711))?;
        Ok(Self {
            gateway,
            sockets: sockets.to_owned(),
            runs: HashMap::new(),
            tasks: TaskTracker::new(),
            stopping: doors.stopping(),
            doors,
        })
    }

    pub(crate) async fn run(
        mut self,
        mut policies: watch::Receiver<Option<Policies>>,
        shutdown: CancellationToken,
    ) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = policies.changed() => if changed.is_err() { break },
                _ = look.tick() => {}
            }
            let current = policies.borrow_and_update().clone();
            if let Some(current) = current {
                self.reconcile(current.runs);
            }
        }
        self.stop().await;
    }

    /// Makes the listeners equal to the policy, whatever happened before.
    fn reconcile(&mut self, policies: Vec<Policy>) {
        let mut wanted: HashMap<RunId, Policy> =
            policies.into_iter().map(|policy| (policy.run, policy)).collect();
        self.runs.retain(|run, running| {
            let keep =
                wanted.contains_key(run) && socket_at(&self.sockets, *run) == Some(running.socket);
            if !keep {
                running.closed.cancel();
                self.doors.remove(*run);
            }
            keep
        });
        self.remove_stale(&wanted);
        for (run, running) in &self.runs {
            if let Some(policy) = wanted.remove(run) {
                running.policy.send_if_modified(|current| {
                    let changed = *current != policy;
                    *current = policy;
                    changed
                });
            }
        }
        for (run, policy) in wanted {
            match self.open(run, policy) {
                Ok(running) => drop(self.runs.insert(run, running)),
                Err(error) => tracing::error!(run.id = %run, %error, "no socket for this run"),
            }
        }
    }

    fn open(&self, run: RunId, policy: Policy) -> io::Result<Running> {
        let (listener, socket) = bind(&self.sockets, run)?;
        let (policy, receiver) = watch::channel(policy);
        let closed = CancellationToken::new();
        let door = Door {
            gateway: self.gateway.clone(),
            run,
            policy: receiver,
            // Nobody but the run has this socket.
            wide: true,
            closed: closed.clone(),
            tasks: self.tasks.clone(),
        };
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        self.doors.insert(door.clone(), room.clone());
        self.tasks.spawn(accept(listener, door, room, self.stopping.clone()));
        tracing::info!(run.id = %run, "gateway open");
        Ok(Running { policy, closed, socket })
    }

    /// Directories of runs that no policy names.
    fn remove_stale(&self, wanted: &HashMap<RunId, Policy>) {
        let Ok(entries) = fs::read_dir(&self.sockets) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(run) = name.to_str().and_then(|name| name.parse::<RunId>().ok()) else {
                continue;
            };
            if wanted.contains_key(&run) {
                continue;
            }
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::info!(run.id = %run, "gateway closed"),
                Err(error) => {
                    tracing::warn!(run.id = %run, %error, "a run's directory stays behind");
                }
            }
        }
    }

    /// Lets what is under way end, for a while. The sockets stay: the next gateway replaces them in
    /// the same directories, which the sandboxes have mounted.
    async fn stop(self) {
        self.stopping.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            for running in self.runs.values() {
                running.closed.cancel();
            }
            let _ = tokio::time::timeout(Duration::from_secs(1), self.tasks.wait()).await;
        }
    }
}

/// Makes the socket under another name and puts it in place in one step. The run's directory is
/// never made anew, since a sandbox may have it mounted; and since an agent might write into it, the
/// socket is made beside it and only its last name is inside.
fn bind(sockets: &Path, run: RunId) -> io::Result<(UnixListener, (u64, u64))> {
    let directory = sockets.join(run.to_string());
    fs::create_dir_all(&directory)?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755))?;
    let new = format!(".{run}.new");
    let path = sockets.join(&new);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // A socket's path may be 107 bytes long, a data directory's longer.
    let handle = fs::File::open(sockets)?;
    let listener = UnixListener::bind(format!("/proc/self/fd/{}/{new}", handle.as_raw_fd()))?;
    // The sandbox's user is another one than the gateway's.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    let metadata = fs::symlink_metadata(&path)?;
    fs::rename(&path, directory.join(SOCKET))?;
    Ok((listener, (metadata.dev(), metadata.ino())))
}

fn socket_at(sockets: &Path, run: RunId) -> Option<(u64, u64)> {
    let path = sockets.join(run.to_string()).join(SOCKET);
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

async fn accept(
    listener: UnixListener,
    door: Door,
    room: Arc<Semaphore>,
    stopping: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => return,
            () = door.closed.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => admit(stream, &door, &room, &stopping),
            Err(error) => {
                // Mostly too many open files: give the others time to end.
                tracing::warn!(run.id = %door.run, %error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn admit(stream: UnixStream, door: &Door, room: &Arc<Semaphore>, stopping: &CancellationToken) {
    let (door, stopping) = (door.clone(), stopping.clone());
    let tasks = door.tasks.clone();
    match room.clone().try_acquire_owned() {
        Ok(place) => {
            tasks.spawn(connection::serve(stream, door, place, stopping));
        }
        Err(_) => connection::turn_away(&stream, &door),
    }
}
