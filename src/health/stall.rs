//! Whether this thread was kept from running while it waited for something.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const STEP: Duration = Duration::from_millis(50);

/// Does the work and says by how much, at worst, this thread was late meanwhile.
pub async fn watch<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = std::pin::pin!(work);
    let mut late = Duration::ZERO;
    loop {
        let due = Instant::now() + STEP;
        tokio::select! {
            biased;
            done = &mut work => return (done, late.max(due.elapsed())),
            () = sleep_until(due) => late = late.max(due.elapsed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_runs_is_not_late() {
        let (done, late) = watch(async {
            sleep(Duration::from_millis(730)).await;
            7
        })
        .await;
        assert_eq!(done, 7);
        assert!(late < Duration::from_millis(5), "{late:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leap_of_the_clock_is_seen_wherever_it_falls() {
        for before in [0, 30, 500] {
            let ((), late) = watch(async {
                sleep(Duration::from_millis(before)).await;
                advance(Duration::from_secs(2)).await;
            })
            .await;
            assert!(late > Duration::from_millis(1900), "{before}: {late:?}");
        }
    }
}
