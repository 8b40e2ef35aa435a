//! The hot paths of a message, from one end's bytes to the other's screen, each by itself: `hot`
//! takes their time, `guard` counts their instructions.

#![allow(dead_code, reason = "each of the two uses its part")]

pub(crate) mod codec;
pub(crate) mod screen;
pub(crate) mod server;

/// A path that can be run repeatedly to measure its cost.
pub(crate) trait Path {
    /// Its name in the output.
    const NAME: &'static str;
    /// The unit of its cost.
    const UNIT: &'static str;
    /// Units in one [`run`](Self::run).
    const UNITS: u64;

    /// Prepares everything that exists before the first run.
    fn new() -> Self;

    /// Prepares one run; not part of the measured cost.
    fn prepare(&mut self) {}

    /// Runs the path.
    fn run(&mut self);
}

/// Calls a function for each path: `each!(what)` calls `what::<P>()`.
macro_rules! each {
    ($what:ident $(, $argument:expr)*) => {{
        $what::<$crate::paths::codec::ParseClient>($($argument),*);
        $what::<$crate::paths::codec::ParseServer>($($argument),*);
        $what::<$crate::paths::codec::EncodeServer>($($argument),*);
        $what::<$crate::paths::server::Append>($($argument),*);
        $what::<$crate::paths::server::Decide>($($argument),*);
        $what::<$crate::paths::server::FanOut>($($argument),*);
        $what::<$crate::paths::server::ResumeFromTail>($($argument),*);
        $what::<$crate::paths::server::ResumeFromLog>($($argument),*);
        $what::<$crate::paths::server::Join>($($argument),*);
        $what::<$crate::paths::screen::Wrap>($($argument),*);
        $what::<$crate::paths::screen::Receive>($($argument),*);
        $what::<$crate::paths::screen::Draw>($($argument),*);
    }};
}
pub(crate) use each;

/// A message of the usual length, 85 bytes.
pub(crate) const TEXT: &str =
    "a message of the usual length, as people write them when they talk about their work..";
