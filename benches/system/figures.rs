//! The figures of the tables.

use std::{fs, time::Duration};

/// Milliseconds: the median, the 99th percentile, the worst.
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) worst: f64,
}

impl Times {
    /// Computes them from nanoseconds.
    pub(crate) fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |share: usize| match times.len() {
            0 => f64::NAN,
            count => times[(count * share / 100).min(count - 1)] as f64 / 1e6,
        };
        Self {
            p50: at(50),
            p99: at(99),
            worst: at(100),
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "p50 {:>6.2}  p99 {:>7.2}  worst {:>7.2} ms",
            self.p50, self.p99, self.worst
        )
    }
}

/// Formats seconds.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Fits `y = a + b·x` by least squares of the relative errors: the points span powers of ten, and
/// each is to count alike.
pub(crate) fn fit(points: &[(f64, f64)]) -> (f64, f64) {
    let sum =
        |of: fn(f64, f64) -> f64| points.iter().map(|&(x, y)| of(x, y) / (y * y)).sum::<f64>();
    let (n, x, y) = (sum(|_, _| 1.0), sum(|x, _| x), sum(|_, y| y));
    let (xx, xy) = (sum(|x, _| x * x), sum(|x, y| x * y));
    let b = (n * xy - x * y) / (n * xx - x * x);
    ((y - b * x) / n, b)
}

/// Processor time of this process, in seconds.
pub(crate) fn own_cpu() -> f64 {
    let said = fs::read_to_string("/proc/self/schedstat").unwrap();
    said.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Processor time of the whole machine, including time taken by the hypervisor, in seconds.
pub(crate) fn machine_cpu() -> f64 {
    let said = fs::read_to_string("/proc/stat").unwrap();
    let parts: Vec<f64> = said
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .skip(1)
        .map(|part| part.parse().unwrap())
        .collect();
    // User, nice, system, interrupts (2), steal; in hundredths.
    [0, 1, 2, 5, 6, 7]
        .map(|part| parts[part])
        .iter()
        .sum::<f64>()
        / 100.0
}

/// The machine's load average over one minute: figures of a busy machine mean little.
pub(crate) fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or_default().to_owned()
}
