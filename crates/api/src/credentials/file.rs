//! Secrets on one machine: a directory of sealed files and the key that opens them.
//!
//! ChaCha20-Poly1305, a nonce drawn at random for each file, the file's own name as associated data: a file put in
//! the place of another does not open. Whoever can read the key can read the secrets; it is there so that a copy of
//! the data directory without it, or a backup of the files, is worth nothing.

use std::{
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use commands::Entropy;
use futures::future::BoxFuture;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{Place, SecretStore, SecretStoreError, SecretValue};

/// What a sealed file begins with.
const MAGIC: &[u8] = b"paddock-sealed-1\n";
const SEALED: &str = "sealed";
const KEY: &str = "key";
const KEY_LEN: usize = 32;

/// Secrets in a directory.
pub struct FileStore {
    dir: PathBuf,
    key: Arc<LessSafeKey>,
    entropy: Arc<dyn Entropy>,
}

/// Why the directory of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileStoreError {
    /// Something with a file.
    #[error("{path}")]
    Io {
        /// Which.
        path: String,
        /// What.
        #[source]
        source: io::Error,
    },
    /// Others than its owner can read the key.
    #[error("{0} can be read by others: it must have the mode 0600")]
    Open(String),
    /// What is in the key's place is none.
    #[error("{0} is not a key of {KEY_LEN} bytes")]
    NotAKey(String),
    /// There are sealed secrets, and the key that opens them is gone.
    #[error(
        "{0} is missing, and there are secrets that only it opens: bring it back, or remove them"
    )]
    KeyGone(String),
}

impl FileStore {
    /// Opens the directory; makes it and its key where there is none.
    pub fn open(dir: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, FileStoreError> {
        let at = |path: &Path| {
            let path = path.display().to_string();
            move |source| FileStoreError::Io { path, source }
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(at(dir))?;
        let path = dir.join(KEY);
        let name = path.display().to_string();
        match std::fs::metadata(&path) {
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return Err(FileStoreError::Open(name));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !sealed_in(dir).map_err(at(dir))?.is_empty() {
                    return Err(FileStoreError::KeyGone(name));
                }
                let mut key = Zeroizing::new([0; KEY_LEN]);
                entropy.bytes(&mut *key);
                write_new(dir, KEY, &*key).map_err(at(&path))?;
            }
            Err(error) => return Err(at(&path)(error)),
        }
        let bytes = Zeroizing::new(std::fs::read(&path).map_err(at(&path))?);
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes)
            .map_err(|_| FileStoreError::NotAKey(name))?;
        Ok(Self { dir: dir.to_owned(), key: Arc::new(LessSafeKey::new(key)), entropy })
    }

    fn seal(&self, at: Place, value: &SecretValue) -> Result<Vec<u8>, SecretStoreError> {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.bytes(&mut nonce);
        let mut sealed = value.expose().as_bytes().to_vec();
        let aad = Aad::from(at.to_string());
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| SecretStoreError::Away("the secret cannot be sealed".to_owned()))?;
        Ok([MAGIC, &nonce, &sealed].concat())
    }

    fn path(&self, at: Place) -> PathBuf {
        self.dir.join(format!("{at}.{SEALED}"))
    }
}

fn open(key: &LessSafeKey, at: Place, file: &[u8]) -> Option<SecretValue> {
    let rest = file.strip_prefix(MAGIC)?;
    let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut opened = Zeroizing::new(sealed.to_vec());
    let text = key.open_in_place(nonce, Aad::from(at.to_string()), &mut opened).ok()?;
    let text = std::str::from_utf8(text).ok()?;
    Some(text.to_owned().into())
}

/// The names of sealed files.
fn sealed_in(dir: &Path) -> io::Result<Vec<Place>> {
    let mut places = vec![];
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let place = name.to_str().and_then(|name| name.strip_suffix(&format!(".{SEALED}")));
        places.extend(place.and_then(|place| place.parse::<Place>().ok()));
    }
    Ok(places)
}

/// Writes a file that only its owner reads, in one step, and makes sure that it stays.
fn write_new(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let beside = dir.join(format!(".{name}.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, dir.join(name))?;
    std::fs::File::open(dir)?.sync_all()
}

async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SecretStoreError> + Send + 'static,
) -> Result<T, SecretStoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SecretStoreError::Away(error.to_string())))
}

fn away(error: &io::Error) -> SecretStoreError {
    SecretStoreError::Away(error.to_string())
}

impl SecretStore for FileStore {
    fn put<'a>(
        &'a self,
        at: Place,
        value: &'a SecretValue,
    ) -> BoxFuture<'a, Result<(), SecretStoreError>> {
        let sealed = self.seal(at, value);
        let dir = self.dir.clone();
        Box::pin(async move {
            let sealed = sealed?;
            let name = format!("{at}.{SEALED}");
            apart(move || write_new(&dir, &name, &sealed).map_err(|error| away(&error))).await
        })
    }

    fn get(&self, at: Place) -> BoxFuture<'_, Result<SecretValue, SecretStoreError>> {
        let (path, key) = (self.path(at), self.key.clone());
        Box::pin(apart(move || match std::fs::read(path) {
            Ok(file) => open(&key, at, &file).ok_or(SecretStoreError::Sealed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SecretStoreError::Missing),
            Err(error) => Err(away(&error)),
        }))
    }

    fn remove(&self, at: Place) -> BoxFuture<'_, Result<(), SecretStoreError>> {
        let path = self.path(at);
        Box::pin(apart(move || match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(away(&error)),
            Ok(()) | Err(_) => Ok(()),
        }))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Place>, SecretStoreError>> {
        let dir = self.dir.clone();
        Box::pin(apart(move || sealed_in(&dir).map_err(|error| away(&error))))
    }
}

#[cfg(test)]
mod tests {
    use commands::Context;
    use domain::ids::{CredentialId, RunId, ValueId};
    use uuid::Uuid;

    use super::*;

    fn place(n: u128) -> Place {
        Place::Value(CredentialId(Uuid::from_u128(n)), ValueId(Uuid::from_u128(n + 1)))
    }

    fn opened(dir: &Path) -> Result<FileStore, FileStoreError> {
        FileStore::open(dir, Context::system().entropy)
    }

    #[tokio::test]
    async fn what_is_put_comes_back_after_a_restart_and_no_file_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let secret = "github_pat_canary_0123456789";
        let store = opened(&dir.path().join("secrets")).unwrap();
        store.put(place(1), &secret.to_owned().into()).await.unwrap();
        let minted = Place::Minted(CredentialId(Uuid::nil()), RunId(Uuid::nil()));
        store.put(minted, &"t".to_owned().into()).await.unwrap();

        let store = opened(&dir.path().join("secrets")).unwrap();
        assert_eq!(store.get(place(1)).await.ok().unwrap().expose(), secret);
        let mut places = store.list().await.unwrap();
        places.sort_by_key(Place::to_string);
        assert_eq!(places, [minted, place(1)]);
        for entry in std::fs::read_dir(&store.dir).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
            let bytes = std::fs::read(&path).unwrap();
            assert!(
                !bytes.windows(10).any(|part| secret.as_bytes().windows(10).any(|s| s == part))
            );
        }
        assert_eq!(store.dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);

        store.remove(place(1)).await.unwrap();
        store.remove(place(1)).await.unwrap();
        assert!(matches!(store.get(place(1)).await, Err(SecretStoreError::Missing)));
    }

    #[tokio::test]
    async fn a_file_that_was_changed_or_put_in_anothers_place_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(dir.path()).unwrap();
        store.put(place(1), &"one".to_owned().into()).await.unwrap();
        store.put(place(5), &"five".to_owned().into()).await.unwrap();
        std::fs::copy(store.path(place(1)), store.path(place(5))).unwrap();
        assert!(matches!(store.get(place(5)).await, Err(SecretStoreError::Sealed)));
        let whole = std::fs::read(store.path(place(1))).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(store.path(place(1)), changed).unwrap();
            assert!(
                matches!(store.get(place(1)).await, Err(SecretStoreError::Sealed)),
                "byte {at}"
            );
        }
        std::fs::write(store.path(place(1)), &whole[..MAGIC.len() + 3]).unwrap();
        assert!(matches!(store.get(place(1)).await, Err(SecretStoreError::Sealed)));
    }

    #[tokio::test]
    async fn a_key_that_others_can_read_or_that_is_gone_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(dir.path()).unwrap();
        store.put(place(1), &"one".to_owned().into()).await.unwrap();
        let key = dir.path().join(KEY);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(opened(dir.path()), Err(FileStoreError::Open(_))));
        std::fs::remove_file(&key).unwrap();
        assert!(matches!(opened(dir.path()), Err(FileStoreError::KeyGone(_))));
        std::fs::write(&key, "short").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(opened(dir.path()), Err(FileStoreError::NotAKey(_))));
        std::fs::write(&key, [7; KEY_LEN]).unwrap();
        let store = opened(dir.path()).unwrap();
        assert!(matches!(store.get(place(1)).await, Err(SecretStoreError::Sealed)), "another key");
    }
}
