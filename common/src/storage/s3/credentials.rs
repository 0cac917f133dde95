//! Provides credentials for both clients of a bucket. Credentials are requested once and kept until
//! shortly before they expire.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use tokio::sync::Mutex;

/// Credentials are renewed this long before they expire, so that they do not expire during a
/// request and its retries.
const MARGIN: Duration = Duration::from_mins(5);
/// Minimum time between two attempts to renew credentials that are still valid.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// Cache of a provider's credentials. Clones share the cache.
#[derive(Debug, Clone)]
pub(super) struct Credentials(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    provider: SharedCredentialsProvider,
    // Cached credentials. Locked during a request to the provider, so that concurrent callers cause
    // only one request.
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    credentials: AwsCredentials,
    for_bytes: Arc<AwsCredential>,
    renew_at: Option<SystemTime>,
}

impl Credentials {
    pub(super) fn new(provider: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Shared { provider, held: Mutex::new(None) }))
    }

    async fn get<T>(&self, take: impl FnOnce(&Held) -> T) -> Result<T, CredentialsError> {
        let mut slot = self.0.held.lock().await;
        let now = SystemTime::now();
        // Take the credentials out, so that a failed renewal below can return them.
        let held = match slot.take() {
            Some(held) if held.renew_at.is_none_or(|at| now < at) => held,
            before => match self.0.provider.provide_credentials().await {
                Ok(credentials) => Held::new(credentials, now),
                // The previous credentials may still be valid for a while.
                Err(error) => match before.and_then(|held| held.while_it_holds(now)) {
                    Some(held) => {
                        tracing::warn!(%error, "credentials cannot be renewed yet");
                        held
                    }
                    None => return Err(error),
                },
            },
        };
        let taken = take(&held);
        *slot = Some(held);
        Ok(taken)
    }
}

impl Held {
    fn new(credentials: AwsCredentials, now: SystemTime) -> Self {
        let for_bytes = Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        });
        // Credentials that are valid for less than the margin are renewed periodically, not at
        // every request.
        let renew_at = credentials.expiry().map(|expiry| match expiry.checked_sub(MARGIN) {
            Some(at) if at > now => at,
            _ => (now + RENEW_EVERY).min(expiry),
        });
        Self { credentials, for_bytes, renew_at }
    }

    fn while_it_holds(self, now: SystemTime) -> Option<Self> {
        let holds = self.credentials.expiry().is_none_or(|expiry| now < expiry);
        holds.then(|| Self { renew_at: Some(now + RENEW_EVERY), ..self })
    }
}

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.get(|held| Arc::clone(&held.for_bytes)).await.map_err(|error| object_store::Error::Unauthenticated {
            path: "credentials".to_owned(),
            source: Box::new(error),
        })
    }
}

impl ProvideCredentials for Credentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get(|held| held.credentials.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A provider that returns two numbered keys, valid for a given time, and then fails.
    #[derive(Debug)]
    struct Numbered {
        asked: Arc<AtomicU64>,
        holds: Option<Duration>,
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.asked.fetch_add(1, Ordering::SeqCst);
            let expiry = self.holds.map(|holds| SystemTime::now() + holds);
            future::ProvideCredentials::ready(if n < 2 {
                Ok(AwsCredentials::new(format!("key-{n}"), "secret", None, expiry, "test"))
            } else {
                Err(CredentialsError::not_loaded("no more"))
            })
        }
    }

    fn numbered(holds: Option<Duration>) -> (Credentials, Arc<AtomicU64>) {
        let asked = Arc::new(AtomicU64::new(0));
        (Credentials::new(SharedCredentialsProvider::new(Numbered { asked: Arc::clone(&asked), holds })), asked)
    }

    #[tokio::test]
    async fn both_clients_and_many_concurrent_callers_cause_one_request_to_the_provider() {
        let (credentials, asked) = numbered(Some(Duration::from_hours(1)));
        let many = (0..100).map(|_| credentials.get_credential());
        for credential in futures::future::join_all(many).await {
            assert_eq!(credential.unwrap().key_id, "key-0");
        }
        assert_eq!(credentials.provide_credentials().await.unwrap().access_key_id(), "key-0");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn expired_keys_are_renewed_and_never_returned() {
        let (credentials, _) = numbered(Some(Duration::ZERO));
        assert_eq!(credentials.get_credential().await.unwrap().key_id, "key-0");
        assert_eq!(credentials.get_credential().await.unwrap().key_id, "key-1");
        assert!(credentials.get_credential().await.is_err());
    }
}
