//! Users with habits.
//!
//! In: an agent and the segments that a user asks for in a row. Out: sessions of users who have never come before, one
//! or a crowd of them, until the agent has learned what follows what. Refuses to go on teaching one that learns
//! nothing.
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::agent::Agent;
use crate::caller::Caller;
use crate::http::Reply;
use crate::wait::wait_for;

/// Users of one crowd, side by side.
const CROWD: usize = 60;
/// Crowds after which an agent that has not learned will not.
const CROWDS_MAX: usize = 40;
const PATIENCE: Duration = Duration::from_secs(120);

/// Users of an agent's segments.
#[derive(Debug)]
pub struct Users<'a> {
    agent: &'a Agent,
    caller: Caller,
    pause: Duration,
}

/// A user in the middle of a session.
#[derive(Debug)]
pub struct User<'a> {
    users: &'a Users<'a>,
    token: String,
}

impl<'a> Users<'a> {
    /// Users who think for so long between two steps.
    ///
    /// # Errors
    /// As [`Agent::caller`].
    pub fn of(agent: &'a Agent, pause: Duration) -> Result<Self> {
        Ok(Self { agent, caller: agent.caller()?, pause })
    }

    /// A user who has never come before, to this agent or to another.
    pub fn somebody(&self) -> User<'_> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        User { users: self, token: format!("user-{number}") }
    }

    /// A user who has never come before goes through a whole session.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn walk(&self, path: &[&str]) -> Result<Vec<Reply>> {
        let user = self.somebody();
        let step = |(index, segment): (usize, &&str)| {
            if index > 0 {
                thread::sleep(self.pause);
            }
            user.asks(segment)
        };
        path.iter().enumerate().map(step).collect()
    }

    /// Many at once, each on one of these paths.
    ///
    /// # Errors
    /// When a request is not answered.
    pub fn crowd(&self, paths: &[&[&str]]) -> Result<()> {
        thread::scope(|scope| {
            let sessions = paths.iter().cycle().take(CROWD).map(|path| scope.spawn(|| self.walk(path)));
            let sessions: Vec<_> = sessions.collect();
            sessions.into_iter().try_for_each(|session| {
                session.join().map_err(|_| anyhow::anyhow!("a user panicked"))?.map(drop)
            })
        })
    }

    /// Crowds come until the agent is fairly sure of what follows the first step of these paths.
    ///
    /// # Errors
    /// When it does not learn it.
    pub fn teach(&self, paths: &[&[&str]]) -> Result<()> {
        let sure = 0.75 / paths.len() as f64;
        self.teach_until(paths, |forecast| {
            let expects = |path: &&[&str]| {
                forecast.iter().any(|step| step["segment"] == path[1] && is_above(step, sure))
            };
            paths.iter().all(expects)
        })
    }

    /// Crowds come until what the agent forecasts after the first step of these paths is as wished.
    ///
    /// # Errors
    /// When it does not come to that.
    pub fn teach_until(&self, paths: &[&[&str]], wished: impl Fn(&[Value]) -> bool) -> Result<()> {
        // One by one first: a crowd on cold segments would have an instance made for each few of it.
        for path in paths {
            self.walk(path)?;
        }
        for _ in 0..CROWDS_MAX {
            self.crowd(paths)?;
            if wished(&self.agent.latest_forecast(paths[0][0])?) {
                return Ok(());
            }
        }
        bail!("after {CROWDS_MAX} crowds it expects no more than {}", self.agent.forecasts()?)
    }
}

impl User<'_> {
    /// Asks for a segment.
    ///
    /// # Errors
    /// When it is not answered with success.
    pub fn asks(&self, segment: &str) -> Result<Reply> {
        let Users { agent, caller, .. } = self.users;
        let reply = caller.get(agent.address(segment), &format!("/{segment}"), &self.token)?;
        if reply.status != 200 {
            bail!("{segment} answers {}: {}", reply.status, reply.body);
        }
        Ok(reply)
    }
}

impl Agent {
    /// The steps of the latest forecast that a request to `trigger` gave rise to; none before there is one.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn latest_forecast(&self, trigger: &str) -> Result<Vec<Value>> {
        let reply = self.forecasts()?;
        let forecasts = reply["forecasts"].as_array().context("a list of forecasts")?;
        let latest = forecasts.iter().rev().find(|forecast| forecast["trigger"] == trigger);
        Ok(latest.and_then(|forecast| forecast["path"].as_array()).cloned().unwrap_or_default())
    }

    /// Waits until no instance stands and no graph is alive.
    ///
    /// # Errors
    /// When that does not come.
    pub fn wait_until_nothing_stands(&self) -> Result<()> {
        let none = |reply: Result<Value>, list: &str| {
            reply.is_ok_and(|reply| reply[list].as_array().is_some_and(Vec::is_empty))
        };
        let nothing = || none(self.status(), "instances") && none(self.graphs(), "graphs");
        wait_for("every instance to be gone", PATIENCE, nothing)
    }

    /// One segment's line of `weft status`.
    ///
    /// # Errors
    /// When the agent does not answer, or has no such segment.
    pub fn segment_status(&self, segment: &str) -> Result<Value> {
        let status = self.status()?;
        let mut segments = status["segments"].as_array().context("a list of segments")?.iter();
        segments
            .find(|line| line["name"] == segment)
            .cloned()
            .with_context(|| format!("no segment {segment}"))
    }

    /// The instances that stand or are being made for a forecast, and that no request has reached.
    ///
    /// # Errors
    /// When the agent does not answer.
    pub fn ahead_of_demand(&self) -> Result<Vec<Value>> {
        let status = self.status()?;
        let instances = status["instances"].as_array().context("a list of instances")?;
        let is_ahead = |one: &&Value| {
            let stands = one["state"] == "creating" || one["state"] == "ready";
            one["origin"] == "forecast" && one["uses"] == 0 && stands
        };
        Ok(instances.iter().filter(is_ahead).cloned().collect())
    }
}

fn is_above(step: &Value, bar: f64) -> bool {
    step["confidence"].as_f64().is_some_and(|confidence| confidence >= bar)
}
