//! A circuit breaker: whoever fails again and again is left alone for a while, then probed once.

use crate::sync::locked;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Tells the time; tests turn it by hand.
pub trait Clock {
    /// Time since any fixed moment.
    fn now(&self) -> Duration;
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
    /// Lets them through.
    Closed,
    /// Refuses them, until this much time of its clock.
    Open(Duration),
    /// Has let one through as a probe and refuses all others until that is answered.
    HalfOpen,
}

/// A call was refused without being tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it failed too often and is not tried again yet")]
pub struct Open;

#[derive(Debug)]
struct State {
    circuit: Circuit,
    failures: u32,
    /// Times in a row that it opened; each doubles the rest.
    opened: u32,
}

/// Refuses calls after `threshold` failures in a row, for `rest`; then lets one through. If that fails too, the next rest is
/// twice as long, up to 32 times. One success closes it. (Nygard, "Release It!", 2007.)
#[derive(Debug)]
pub struct CircuitBreaker<C = SystemClock> {
    clock: C,
    threshold: u32,
    rest: Duration,
    state: Mutex<State>,
}

impl<C: Clock> CircuitBreaker<C> {
    /// A closed one.
    pub fn new(clock: C, threshold: u32, rest: Duration) -> Self {
        let state = Mutex::new(State { circuit: Circuit::Closed, failures: 0, opened: 0 });
        Self { clock, threshold: threshold.max(1), rest, state }
    }

    /// Calls, or refuses to.
    ///
    /// # Errors
    /// `Ok(Err(_))` is the call's own error; `Err(Open)` says that there was no call.
    pub fn call<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>, Open> {
        self.admit()?;
        // A call that panics is a failure: no probe may stay unanswered.
        let mut answer = Answer { breaker: self, failed: true };
        let result = call();
        answer.failed = result.is_err();
        drop(answer);
        Ok(result)
    }

    /// What it does now.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        locked(&self.state).circuit
    }

    fn admit(&self) -> Result<(), Open> {
        let mut state = locked(&self.state);
        match state.circuit {
            Circuit::Closed => Ok(()),
            Circuit::Open(until) if self.clock.now() >= until => {
                state.circuit = Circuit::HalfOpen;
                Ok(())
            }
            Circuit::Open(_) | Circuit::HalfOpen => Err(Open),
        }
    }

    fn settle(&self, failed: bool) {
        let mut state = locked(&self.state);
        if !failed {
            *state = State { circuit: Circuit::Closed, failures: 0, opened: 0 };
            return;
        }
        if matches!(state.circuit, Circuit::Open(_)) {
            // Let through before it opened.
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.circuit == Circuit::HalfOpen || state.failures >= self.threshold {
            let rest = self.rest.saturating_mul(1 << state.opened.min(5));
            state.circuit = Circuit::Open(self.clock.now().saturating_add(rest));
            state.opened = state.opened.saturating_add(1);
        }
    }
}

struct Answer<'a, C: Clock> {
    breaker: &'a CircuitBreaker<C>,
    failed: bool,
}

impl<C: Clock> Drop for Answer<'_, C> {
    fn drop(&mut self) {
        self.breaker.settle(self.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    #[derive(Clone, Default)]
    struct Hand(Rc<Cell<u64>>);

    impl Clock for Hand {
        fn now(&self) -> Duration {
            Duration::from_secs(self.0.get())
        }
    }

    /// `+` a call that succeeds, `-` one that fails, `>` a second that passes; each call is answered with what came of it:
    /// `+`, `-`, or `x` where it was refused.
    fn script(steps: &str) -> String {
        let hand = Hand::default();
        let breaker = CircuitBreaker::new(hand.clone(), 3, Duration::from_secs(2));
        let mut out = String::new();
        for step in steps.chars() {
            if step == '>' {
                hand.0.set(hand.0.get() + 1);
                continue;
            }
            let result = breaker.call(|| if step == '+' { Ok(()) } else { Err(()) });
            out.push(match result {
                Ok(Ok(())) => '+',
                Ok(Err(())) => '-',
                Err(Open) => 'x',
            });
        }
        out
    }

    #[test]
    fn circuits() {
        for (steps, expected) in [
            ("+-+--+--+", "+-+--+--+"),
            ("---+", "---x"),
            ("--->+>+", "---x+"),
            ("--->>+++", "---+++"),
            // A probe that fails: the next rest is 4 seconds, then 8.
            ("--->>->>>+>+", "----x+"),
            ("--->>->>>>->>>>>>>+>+", "-----x+"),
            // A success forgets the rests.
            ("--->>+--->+>+", "---+---x+"),
        ] {
            assert_eq!(script(steps), expected, "{steps}");
        }
    }

    #[test]
    fn one_probe_at_a_time() {
        let hand = Hand::default();
        let breaker = CircuitBreaker::new(hand.clone(), 1, Duration::from_secs(1));
        assert_eq!(breaker.call(|| Err::<(), ()>(())), Ok(Err(())));
        assert!(matches!(breaker.circuit(), Circuit::Open(_)));
        hand.0.set(1);
        let probed = breaker.call(|| {
            assert_eq!(breaker.circuit(), Circuit::HalfOpen);
            assert_eq!(breaker.call(|| Ok::<(), ()>(())), Err(Open));
            Ok::<(), ()>(())
        });
        assert_eq!((probed, breaker.circuit()), (Ok(Ok(())), Circuit::Closed));
    }

    #[test]
    fn a_panic_is_a_failure() {
        let breaker = CircuitBreaker::new(Hand::default(), 1, Duration::from_secs(1));
        let call = std::panic::AssertUnwindSafe(|| breaker.call::<(), ()>(|| panic!("on purpose")));
        assert!(std::panic::catch_unwind(call).is_err());
        assert!(matches!(breaker.circuit(), Circuit::Open(_)));
    }
}
