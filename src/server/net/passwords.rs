//! Compares passwords, which is slow by intent, and so has limits of its own.
//!
//! A comparison takes 19 MiB and some 20 ms of a processor. Two run at one time, on threads of
//! their own, a few more wait, and further ones are told to retry: however many try, chat is not
//! delayed. A site with too many wrong passwords is refused without a comparison for a while.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::Clock;
use crate::{
    protocol::{Password, frame::ErrorCode, wire::Refusal},
    server::{
        core::{
            event::Request,
            rate_limit::{Rate, SiteRateLimiter},
        },
        event_log::EventLog,
        network::ClientAddress,
        secrets::{PasswordRecord, SecretError, Secrets, Workspace},
        supervisor::{Panicked, Supervisor},
    },
};

/// Comparisons that run at one time.
const AT_ONCE: usize = 2;
/// Further ones that wait for their turn.
const WAITING_MAX: usize = 32;
/// When to retry if more wait.
const BUSY_RETRY: Duration = Duration::from_secs(2);
/// Wrong passwords from one site: five at once, and five in a minute.
const WRONG: Rate = Rate::new(5, 5);

/// The current password. Cheap to clone; all clones share it.
#[derive(Clone, Debug)]
pub(super) struct Passwords(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    secrets: Secrets,
    recorder: EventLog,
    supervisor: Supervisor,
    record: RwLock<Arc<PasswordRecord>>,
    /// One permit for each comparison that runs or waits.
    places: Semaphore,
    turns: Arc<Semaphore>,
    /// Reusable Argon2 buffers, at most [`AT_ONCE`] of them.
    spare: Mutex<Vec<Workspace>>,
    wrong: Mutex<SiteRateLimiter>,
}

impl Passwords {
    /// Reads the password.
    pub(super) fn open(
        secrets: &Secrets,
        recorder: &EventLog,
        supervisor: &Supervisor,
    ) -> Result<Self, SecretError> {
        Ok(Self(Arc::new(Shared {
            secrets: secrets.clone(),
            recorder: recorder.clone(),
            supervisor: supervisor.clone(),
            record: RwLock::new(Arc::new(secrets.password()?)),
            places: Semaphore::new(AT_ONCE + WAITING_MAX),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            spare: Mutex::default(),
            wrong: SiteRateLimiter::new(Some(WRONG)).into(),
        })))
    }

    /// Reads the password again. If there is no usable one, the old one stays. Touches the disk.
    pub(super) fn reload(&self) {
        let Shared {
            secrets, recorder, ..
        } = &*self.0;
        match secrets.password() {
            Ok(record) => {
                let mut current = self
                    .0
                    .record
                    .write()
                    .unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(record);
                recorder.info("read the password again".to_owned());
            }
            Err(error) => recorder.warn(format!("the password stays what it was: {error}")),
        }
    }

    /// Compares the password of a join, and notes in the request whether it is right; or refuses
    /// the request. Without a proven key nothing is compared, since a password then admits nobody.
    pub(super) async fn check_join(&self, clock: Clock, request: &mut Request) {
        let Request::Join(entry) = request else {
            return;
        };
        let (Some(_), Some(password)) = (entry.key, &entry.join.password) else {
            return;
        };
        match self.check(clock, entry.channel.address, password).await {
            Ok(is_right) => entry.password = is_right,
            Err(wait) => *request = Request::Refused(too_often(wait)),
        }
    }

    /// Whether this is the password. `Err`: how long to wait first, because too many others try, or
    /// because the site was wrong too often.
    async fn check(
        &self,
        clock: Clock,
        address: ClientAddress,
        password: &Password,
    ) -> Result<bool, Duration> {
        let shared = &self.0;
        shared.may_try(address, clock.now().mono)?;
        let Ok(_place) = shared.places.try_acquire() else {
            return Err(BUSY_RETRY);
        };
        let Ok(turn) = Arc::clone(&shared.turns).acquire_owned().await else {
            return Err(BUSY_RETRY);
        };
        // Others of that site had their turn meanwhile.
        shared.may_try(address, clock.now().mono)?;
        let supervisor = &shared.supervisor;
        let (shared, password) = (Arc::clone(shared), password.clone());
        let compared = supervisor.blocking("password", move || {
            let mut memory = shared.spare().pop().unwrap_or_default();
            let is_right = shared.record().is_of(&password, &mut memory);
            shared.spare().push(memory);
            if !is_right {
                shared.was_wrong(address, clock.now().mono);
            }
            // Held until the result is noted, even if the client is gone.
            drop(turn);
            is_right
        });
        // A comparison that panicked says nothing about the password.
        compared.await.map_err(|Panicked| BUSY_RETRY)
    }
}

fn too_often(wait: Duration) -> Refusal {
    let message = "Too many password attempts at the moment: try again in a while";
    let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let mut refusal = Refusal::ending(ErrorCode::RateLimited, message);
    refusal.retry_after_ms = Some(wait.max(1));
    refusal
}

impl Shared {
    fn record(&self) -> Arc<PasswordRecord> {
        let record = self.record.read();
        Arc::clone(&record.unwrap_or_else(PoisonError::into_inner))
    }

    fn spare(&self) -> MutexGuard<'_, Vec<Workspace>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_try(&self, address: ClientAddress, now: Duration) -> Result<(), Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.look(address, now)
    }

    fn was_wrong(&self, address: ClientAddress, now: Duration) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        // It fails only if several were compared at one time.
        let _ = wrong.take(address, now);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::task::JoinSet;

    use super::*;
    use crate::server::secrets::set_password;

    fn password() -> Password {
        Password::parse("open sesame").unwrap()
    }

    #[tokio::test]
    async fn few_are_compared_at_one_time_and_few_wait() {
        let passwords =
            Passwords::open(&Secrets::Memory, &EventLog::none(), &Supervisor::default()).unwrap();
        let clock = Clock::start();
        let mut checks = JoinSet::new();
        for number in 0..40 {
            let passwords = passwords.clone();
            checks.spawn(async move {
                let address = SocketAddr::from(([10, 0, 0, number], 7));
                passwords.check(clock, address.into(), &password()).await
            });
        }
        let (mut wrong, mut busy) = (0, 0);
        for checked in checks.join_all().await {
            match checked {
                Ok(is_right) => wrong += usize::from(!is_right),
                Err(wait) => busy += usize::from(wait == BUSY_RETRY),
            }
        }
        assert_eq!((wrong, busy), (AT_ONCE + WAITING_MAX, 6));
    }

    #[tokio::test]
    async fn too_many_wrong_passwords_have_to_wait_and_a_right_one_costs_nothing() {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::Kept {
            directory: Some(home.path().to_owned()),
            or_memory: false,
        };
        set_password(home.path(), &password()).unwrap();
        let passwords =
            Passwords::open(&secrets, &EventLog::none(), &Supervisor::default()).unwrap();
        let clock = Clock::start();
        let [here, elsewhere] = [1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], 7)).into());
        let wrong = Password::parse("open barley").unwrap();
        for _ in 0..10 {
            let right = passwords.check(clock, here, &password()).await;
            assert_eq!(right, Ok(true));
        }
        for _ in 0..5 {
            assert_eq!(passwords.check(clock, here, &wrong).await, Ok(false));
        }
        for given in [wrong, password()] {
            let refused = passwords.check(clock, here, &given).await;
            assert!(refused.is_err_and(|wait| wait <= Duration::from_secs(12)));
        }
        let right = passwords.check(clock, elsewhere, &password()).await;
        assert_eq!(right, Ok(true));
    }
}
