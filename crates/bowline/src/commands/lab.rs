//! `bowline lab`: the scenarios of the course labs, in virtual time.
//!
//! What depends on the machine, how long it takes and how far it is, goes to the standard error: with one seed
//! the standard output is the same on every machine.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bowline_lab::batch::{Job, jobs, run_all};
use bowline_lab::picture;
use bowline_lab::report::{self, Summary};
use bowline_lab::run::Outcome;
use bowline_lab::scenario::{self, Scenario};
use bowline_sim::host::DiskKind;

use super::complain;
use crate::args::{DiskArg, LabArgs};

/// Where a run that failed leaves its picture.
const FAILURES: &str = "bowline-lab";

/// Of so many failures of one command the pictures are written; the rest look the same.
const MOST_PICTURES: usize = 5;

/// So much is shown of what came before a failure.
const MOMENTS: Duration = Duration::from_secs(2);

pub(crate) fn run(args: &LabArgs) -> anyhow::Result<ExitCode> {
    let filter = args.filter.as_deref().unwrap_or("");
    let scenarios = scenario::find(filter);
    if scenarios.is_empty() {
        complain(&format!(
            "error: no scenario's part, name or title has `{filter}` in it; `bowline lab --help` names the parts"
        ));
        return Ok(ExitCode::from(2));
    }
    let disks = match args.disk {
        DiskArg::Fast => &[DiskKind::Fast][..],
        DiskArg::Slow => &[DiskKind::Slow],
        DiskArg::Both => &[DiskKind::Fast, DiskKind::Slow],
    };
    let seed = match args.seed {
        Some(seed) => seed,
        None => fresh_seed()?,
    };
    let jobs = jobs(&scenarios, disks, seed, args.runs.unwrap_or(1));
    if let Some(path) = &args.trace {
        return trace(path, args.window, &jobs);
    }
    let mut session = Session { out: io::stdout(), failures: 0, began: Instant::now() };
    writeln!(session.out, "seed {seed}")?;
    if args.runs.is_some() {
        session.many(&jobs)?;
    } else {
        session.each_once(&jobs)?;
    }
    Ok(if session.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One use of the command.
struct Session {
    out: io::Stdout,
    failures: usize,
    began: Instant,
}

impl Session {
    /// Prints each run as the seeds print it.
    fn each_once(&mut self, jobs: &[Job]) -> anyhow::Result<()> {
        write!(self.out, "{}", report::legend())?;
        let (mut time, mut result) = (Duration::ZERO, Ok(()));
        run_all(jobs, |job, outcome| {
            time += outcome.figures.time;
            result = write!(self.out, "{}", report::lines(job, &outcome)).map_err(Into::into);
            if let Some(failure) = outcome.failure.filter(|_| result.is_ok()) {
                result = self.failed(job, failure.at);
            }
            result.is_ok()
        });
        result?;
        let passed = jobs.len() - self.failures;
        writeln!(self.out, "{passed} of {} passed, {:.1} s of virtual time", jobs.len(), time.as_secs_f64())?;
        complain(&format!("{:.2} s of wall time", self.began.elapsed().as_secs_f64()));
        Ok(())
    }

    /// Prints a line for all runs of a scenario on one kind of disk.
    fn many(&mut self, jobs: &[Job]) -> anyhow::Result<()> {
        let width = report::name_width(jobs);
        write!(self.out, "{}", Summary::header(width))?;
        let mut progress = Progress::new(jobs.len());
        let (mut summary, mut done, mut result) = (Summary::default(), 0, Ok(()));
        run_all(jobs, |job, outcome| {
            done += 1;
            let is_last = jobs.get(done).is_none_or(|next| !is_same(next, job));
            summary.add(&outcome);
            progress.clear();
            result = self.one_of_many(job, &outcome).and_then(|()| {
                if is_last {
                    let line = std::mem::take(&mut summary).line(job.scenario, job.disk, width);
                    writeln!(self.out, "{line}")?;
                }
                Ok(())
            });
            progress.show(done, self.began);
            result.is_ok()
        });
        progress.clear();
        result?;
        writeln!(self.out, "{} of {} runs passed", jobs.len() - self.failures, jobs.len())?;
        complain(&format!("{:.1} s of wall time", self.began.elapsed().as_secs_f64()));
        Ok(())
    }

    fn one_of_many(&mut self, job: &Job, outcome: &Outcome) -> anyhow::Result<()> {
        if let Some(failure) = &outcome.failure {
            write!(self.out, "{}", report::lines(job, outcome))?;
            self.failed(job, failure.at)?;
        }
        Ok(())
    }

    /// Counts a failure, and leaves a picture of the moments before it.
    fn failed(&mut self, job: &Job, at: Duration) -> anyhow::Result<()> {
        self.failures += 1;
        if self.failures > MOST_PICTURES || !job.scenario.has_disks() {
            return Ok(());
        }
        std::fs::create_dir_all(FAILURES).with_context(|| format!("cannot make the directory {FAILURES}"))?;
        let Job { scenario: Scenario { name, .. }, disk, seed } = job;
        let path = PathBuf::from(FAILURES).join(format!("{name}-{seed}-{disk}.html"));
        write_picture(&path, Some((at.saturating_sub(MOMENTS), at)), job)?;
        writeln!(self.out, "      picture: {}", path.display())?;
        Ok(())
    }
}

/// Runs the one job, and writes its picture.
fn trace(path: &Path, window: Option<(Duration, Duration)>, jobs: &[Job]) -> anyhow::Result<ExitCode> {
    let [job] = jobs else {
        let names: Vec<_> = jobs.iter().take(3).map(|job| job.scenario.name).collect();
        complain(&format!(
            "error: --trace is for one run, and the filter and --disk mean {} ({} ...); write a whole name",
            jobs.len(),
            names.join(", ")
        ));
        return Ok(ExitCode::from(2));
    };
    let outcome = write_picture(path, window, job)?;
    write!(io::stdout(), "seed {}\n{}{}", job.seed, report::legend(), report::lines(job, &outcome))?;
    complain(&format!("picture: {}", path.display()));
    Ok(if outcome.failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_picture(path: &Path, window: Option<(Duration, Duration)>, job: &Job) -> anyhow::Result<Outcome> {
    let (outcome, trace) = job.run_traced();
    let Some(trace) = trace else { bail!("{} has no servers that a picture could show", job.scenario.name) };
    let trace = window.map_or(trace.clone(), |(from, to)| trace.window(from, to));
    let is_bare = path.extension().is_some_and(|extension| extension == "svg");
    let text =
        if is_bare { picture::svg(&trace) } else { picture::page(&trace, &report::heading(job, &outcome)) };
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(outcome)
}

fn is_same(one: &Job, other: &Job) -> bool {
    one.scenario.name == other.scenario.name && one.disk == other.disk
}

/// Short enough to be typed again.
fn fresh_seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from(u32::from_le_bytes(bytes)))
}

/// A bar on the terminal; nothing elsewhere.
struct Progress {
    total: usize,
    is_shown: bool,
    shown_at: Option<Instant>,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self { total, is_shown: io::stderr().is_terminal(), shown_at: None }
    }

    fn show(&mut self, done: usize, began: Instant) {
        let is_due = self.shown_at.is_none_or(|at| at.elapsed() >= Duration::from_millis(100));
        if !self.is_shown || !is_due {
            return;
        }
        self.shown_at = Some(Instant::now());
        let width = 40;
        let filled = done * width / self.total;
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(width - filled));
        let seconds = began.elapsed().as_secs();
        let _ = write!(io::stderr(), "\r[{bar}] {done} of {} runs, {seconds} s ", self.total);
    }

    /// Makes room for a line.
    fn clear(&mut self) {
        if self.shown_at.is_some_and(|at| at.elapsed() >= Duration::from_millis(100)) {
            let _ = write!(io::stderr(), "\r{:78}\r", "");
        }
    }
}
