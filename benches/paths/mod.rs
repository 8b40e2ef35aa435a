//! The paths that a message goes, from one end's bytes to the other's screen, each by itself: for
//! `hot`, which takes its time, and `guard`, which counts its instructions.

#![allow(dead_code, reason = "each of the two uses its part")]

pub(crate) mod codec;
pub(crate) mod screen;
pub(crate) mod server;

/// What can be done again and again, and is worth knowing the cost of.
pub(crate) trait Path {
    /// How it is called.
    const NAME: &'static str;
    /// What the cost is told for one of.
    const UNIT: &'static str;
    /// So many of them are done by one [`run`](Self::run).
    const UNITS: u64;

    /// Everything that is there before.
    fn new() -> Self;

    /// What comes before each run, and is not its own cost.
    fn prepare(&mut self) {}

    /// The path itself.
    fn run(&mut self);
}

/// Does something with each path: `each!(what)` calls `what::<P>()`.
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
