//! The secret of one run. Processes of one user on one machine authenticate with it, without TLS.
//!
//! The coordinator writes 32 random bytes into a file that only its user can read. The file's name
//! contains the address that the coordinator listens on; a worker that connects to this address
//! reads the file. On every connection each side proves that it knows the secret before the first
//! byte of HTTP/2:
//!
//! ```text
//!   coordinator ─► worker   "LWSECRT1", nonce a
//!   worker ─► coordinator   "LWSECRT1", nonce b, HMAC(secret, "worker", a, b)
//!   coordinator ─► worker   HMAC(secret, "coordinator", a, b)
//! ```
//!
//! Therefore, another user cannot call a coordinator. Nor can another user listen on the port
//! between two runs and give tasks to a worker. The connection itself is not encrypted, but only
//! the machine's administrator can read or change it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use uuid::Uuid;

use crate::error::{Context, Error, Result};

/// The bytes that each side sends first.
pub const MAGIC: [u8; 8] = *b"LWSECRT1";
/// Length in bytes of a secret. A nonce and a proof have the same length.
const BYTES: usize = 32;

/// A run's secret.
#[derive(Clone)]
pub struct Secret([u8; BYTES]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A secret and its file. Dropping this value removes the file.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    secret: Secret,
}

impl SecretFile {
    /// Creates the secret of a coordinator that listens on `address`, and writes it to a file.
    ///
    /// # Errors
    /// A configuration error, if the file cannot be written, or if other users have access to its
    /// folder.
    pub fn create(address: SocketAddr) -> Result<Self> {
        let path = path_of(address);
        let written = random().map(Secret).and_then(|secret| write(&path, &secret).map(|()| secret));
        let secret = written.context(|| {
            Error::configuration(format!("cannot write the secret of this run to `{}`", path.display()))
                .hint("the folder must belong to this user alone: remove it, or set TMPDIR for coordinator and workers; or set `ca`, `cert` and `key` of `[cluster]`")
        })?;
        Ok(Self { path, secret })
    }

    /// Returns the secret itself.
    #[must_use]
    pub fn secret(&self) -> Secret {
        self.secret.clone()
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        // The next coordinator on this address may have replaced the file.
        if fs::read(&self.path).is_ok_and(|bytes| bytes == self.secret.0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Returns the path of the file with the secret of the coordinator that listens on `address`.
#[must_use]
pub fn path_of(address: SocketAddr) -> PathBuf {
    folder().join(format!("{}-{}", address.ip(), address.port()))
}

/// Returns the user's folder for secrets. Coordinator and workers compute the same path without a
/// setting.
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("lakewright-{}", user()))
}

fn user() -> u32 {
    #[expect(unsafe_code, reason = "geteuid(2) only returns a number")]
    unsafe {
        libc::geteuid()
    }
}

fn write(path: &Path, secret: &Secret) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        _ => check_folder(folder)?,
    }
    let temporary = folder.join(format!("{}.new", Uuid::now_v7()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(&secret.0)?;
    fs::rename(&temporary, path)
}

/// Checks that the folder belongs to this user and is closed to others. A link is rejected, because
/// another user could have put it there.
fn check_folder(folder: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(folder)?;
    let is_own = metadata.is_dir() && metadata.uid() == user() && metadata.mode() & 0o077 == 0;
    if is_own { Ok(()) } else { Err(io::Error::new(ErrorKind::PermissionDenied, "other users may read or change it")) }
}

/// Returns cryptographically secure random bytes.
///
/// # Errors
/// The system has no source of randomness.
pub fn random() -> io::Result<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let source = rustls::crypto::ring::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| io::Error::other("the system has no random bytes"))?;
    Ok(bytes)
}

impl Secret {
    /// Reads the secret of the coordinator that listens on `address`.
    ///
    /// # Errors
    /// The file does not exist or does not contain a secret, or other users have access to its
    /// folder.
    pub fn find(address: SocketAddr) -> io::Result<Self> {
        let path = path_of(address);
        let named = |e: io::Error| io::Error::new(e.kind(), format!("`{}`: {e}", path.display()));
        check_folder(path.parent().unwrap_or(&path)).map_err(named)?;
        let bytes = fs::read(&path).map_err(named)?;
        let secret = bytes
            .try_into()
            .map_err(|_| named(io::Error::new(ErrorKind::InvalidData, "it does not contain a secret")))?;
        Ok(Self(secret))
    }

    /// Authenticates a connection on the coordinator's side.
    ///
    /// # Errors
    /// The peer does not know the secret.
    pub async fn accept(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        let nonce = random()?;
        stream.write_all(&[&MAGIC[..], &nonce[..]].concat()).await?;
        stream.flush().await?;
        let mut magic = [0; MAGIC.len()];
        stream.read_exact(&mut magic).await?;
        if magic != MAGIC {
            return Err(refused("the peer does not use the secret of this run"));
        }
        let (mut theirs, mut proof) = ([0; BYTES], [0; BYTES]);
        stream.read_exact(&mut theirs).await?;
        stream.read_exact(&mut proof).await?;
        self.verify("worker", &nonce, &theirs, &proof)?;
        stream.write_all(&self.proof("coordinator", &nonce, &theirs)?.finalize().into_bytes()).await?;
        stream.flush().await
    }

    /// Authenticates a connection on a worker's side.
    ///
    /// # Errors
    /// The peer does not know the secret.
    pub async fn connect(&self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        let (mut magic, mut theirs) = ([0; MAGIC.len()], [0; BYTES]);
        stream.read_exact(&mut magic).await?;
        if magic != MAGIC {
            return Err(refused("the peer does not ask for the secret of a run"));
        }
        stream.read_exact(&mut theirs).await?;
        let nonce = random()?;
        let proof = self.proof("worker", &theirs, &nonce)?.finalize().into_bytes();
        stream.write_all(&[&MAGIC[..], &nonce[..], &proof[..]].concat()).await?;
        stream.flush().await?;
        let mut proof = [0; BYTES];
        stream.read_exact(&mut proof).await?;
        self.verify("coordinator", &theirs, &nonce, &proof)
    }

    /// Returns the HMAC with which `side` proves that it knows the secret. The HMAC is not yet
    /// finalized. `a` is the coordinator's nonce, and `b` is the worker's.
    fn proof(&self, side: &str, a: &[u8], b: &[u8]) -> io::Result<Hmac<Sha256>> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(io::Error::other)?;
        [side.as_bytes(), a, b].into_iter().for_each(|part| hmac.update(part));
        Ok(hmac)
    }

    fn verify(&self, side: &str, a: &[u8], b: &[u8], proof: &[u8]) -> io::Result<()> {
        let hmac = self.proof(side, a, b)?;
        hmac.verify_slice(proof).map_err(|_| refused("the peer does not know the secret of this run"))
    }
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connects a coordinator and a worker, each with the given secret, and returns their results.
    async fn meet(coordinator: &Secret, worker: &Secret) -> (io::Result<()>, io::Result<()>) {
        let (mut a, mut b) = tokio::io::duplex(1024);
        let accept = async move {
            let result = coordinator.accept(&mut a).await;
            drop(a);
            result
        };
        let connect = async move {
            let result = worker.connect(&mut b).await;
            drop(b);
            result
        };
        tokio::join!(accept, connect)
    }

    #[tokio::test]
    async fn both_sides_must_know_the_secret() {
        let (one, other) = (Secret(random().unwrap()), Secret(random().unwrap()));
        let (accepted, connected) = meet(&one, &one).await;
        accepted.unwrap();
        connected.unwrap();
        let (accepted, connected) = meet(&one, &other).await;
        assert_eq!(accepted.unwrap_err().kind(), ErrorKind::PermissionDenied);
        connected.unwrap_err();
    }

    #[tokio::test]
    async fn a_proof_of_one_side_is_not_valid_for_the_other() {
        // The peer sends back what it receives.
        let secret = Secret(random().unwrap());
        let (mut a, mut b) = tokio::io::duplex(1024);
        let mirror = async move {
            let (mut head, mut tail) = ([0; 72], [0; 72]);
            b.write_all(&[&MAGIC[..], &[7; BYTES]].concat()).await.unwrap();
            b.read_exact(&mut head).await.unwrap();
            // The worker receives its own proof as the coordinator's.
            b.write_all(&head[40..]).await.unwrap();
            let _ = b.read(&mut tail).await;
        };
        let (connected, ()) = tokio::join!(
            async {
                let result = secret.connect(&mut a).await;
                drop(a);
                result
            },
            mirror
        );
        assert_eq!(connected.unwrap_err().kind(), ErrorKind::PermissionDenied);
    }

    #[test]
    fn the_file_is_closed_to_other_users_and_removed_after_its_run() {
        let address: SocketAddr = "127.0.0.2:1".parse().unwrap();
        let file = SecretFile::create(address).unwrap();
        let path = path_of(address);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(Secret::find(address).unwrap().0, file.secret().0);
        // The first run does not remove the file of the next run on the address.
        let next = SecretFile::create(address).unwrap();
        drop(file);
        assert_eq!(Secret::find(address).unwrap().0, next.secret().0);
        drop(next);
        assert_eq!(Secret::find(address).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
