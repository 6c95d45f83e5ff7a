//! The service itself: asks the stages, and puts their answers into words of the interface.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};
use tonic::{Request, Response, Status, Streaming};
use weft_models::profile::{Forecast, Interval, StorageType};
use weft_models::timing::Label;

use super::v1;
use crate::capture::Containers;
use crate::config::Config;
use crate::intake::serve::Deployer;
use crate::kernel::KernelCounters;
use crate::learn::journal::{self, Journal};
use crate::learn::succession::RollbackError;
use crate::learn::trainer;
use crate::predict::Identities;
use crate::segments::{Segments, Served};
use crate::weave::{Instance, Origin, driver};
use crate::{learn, predict};

/// Ways through the trees that are shown.
const EXPLAINED_MAX: usize = 8;
const MB_PER_GB: f64 = 1024.0;

/// Where the service asks.
pub struct Control {
    /// The configuration.
    pub config: Arc<Config>,
    /// What is served.
    pub segments: Arc<Segments>,
    /// Distinguishes this run's names.
    pub epoch: String,
    /// The weaver.
    pub weave: mpsc::Sender<driver::Message>,
    /// Learning.
    pub learn: mpsc::Sender<learn::Message>,
    /// The predictor.
    pub predict: mpsc::Sender<predict::Message>,
    /// The trainer.
    pub trainer: mpsc::Sender<trainer::Message>,
    /// Names and profiles.
    pub containers: Arc<Containers>,
    /// What happens.
    pub journal: Journal,
    /// The kernel's counters.
    pub counters: KernelCounters,
    /// Whether containerd answers.
    pub containerd: Arc<AtomicBool>,
    /// Puts segments into service.
    pub deployer: Arc<Deployer>,
    /// Asks the agent to end.
    pub stop: mpsc::Sender<()>,
    /// When the agent started.
    pub began: Instant,
}

async fn ask<M, T>(
    stage: &mpsc::Sender<M>,
    message: impl FnOnce(oneshot::Sender<T>) -> M,
) -> Result<T, Status> {
    let (reply, answer) = oneshot::channel();
    let gone = |_| Status::unavailable("the agent is shutting down");
    stage.send(message(reply)).await.map_err(|_| gone(()))?;
    answer.await.map_err(|_| gone(()))
}

impl Control {
    fn name(&self, segment: usize) -> String {
        self.segments.name(segment)
    }

    fn segment(
        &self,
        index: usize,
        weave: &driver::View,
        totals: &learn::Totals,
        label: Option<Label>,
    ) -> v1::SegmentStatus {
        let segment = self.segments.get(index);
        let of_segment = |instance: &&Instance| instance.segment == index;
        let trouble = &weave.trouble[index];
        let [warm, hit, late, cold, failed, pass] = totals.requests;
        let [lessons_hit, lessons_late, lessons_waste] = totals.lessons;
        v1::SegmentStatus {
            name: segment.name.clone(),
            address: segment.address.to_string(),
            image: segment.image.clone(),
            instances: weave.instances.iter().filter(of_segment).count() as u64,
            waiting: weave.waiting[index] as u64,
            warm,
            hit,
            late,
            cold,
            failed,
            pass,
            saved_ms: totals.saved_ms,
            wasted_mb_s: totals.wasted_mb_s,
            idle_mb_s: totals.idle_mb_s,
            cold_start_ms: weave.cold_ms[index],
            trouble: match trouble.failures {
                0 => String::new(),
                count => format!("{count} failures in a row; the last: {}", trouble.cause),
            },
            retry_in_ms: trouble.until_ms.saturating_sub(weave.now_ms),
            lessons_hit,
            lessons_late,
            lessons_waste,
            rhythm: label.map(rhythm),
        }
    }

    fn instance(&self, instance: &Instance, now_ms: u64) -> v1::InstanceStatus {
        let origin = match instance.origin {
            Origin::Demand => "demand",
            Origin::Forecast => "forecast",
            Origin::Adopted => "adopted",
            Origin::Deploy => "deploy",
        };
        v1::InstanceStatus {
            name: instance.name.clone(),
            segment: self.name(instance.segment),
            state: instance.state.word().into(),
            origin: origin.into(),
            address: instance.address.map(|address| address.to_string()).unwrap_or_default(),
            age_ms: now_ms.saturating_sub(instance.created_ms),
            uses: instance.uses,
            open_connections: u64::from(instance.open),
            memory_bytes: instance.memory_bytes,
        }
    }

    async fn profile_of(&self, index: usize) -> v1::SegmentProfile {
        let counts = self.containers.profile(index);
        let shares = self.containers.shares(index);
        let share = |part: fn(weft_models::SyscallShares) -> f32| shares.map(part).map_or(0.0, f64::from);
        let segment = self.segments.get(index);
        v1::SegmentProfile {
            segment: segment.name.clone(),
            memory_limit_bytes: segment.limits.memory.0,
            cpu_limit: segment.limits.cpu,
            need: self.deployer.forecast(&segment.name).await.map(need),
            calls: counts.iter().map(|(_, count)| count).sum(),
            io: share(|shares| shares.io),
            cpu: share(|shares| shares.cpu),
            network: share(|shares| shares.network),
            syscalls: counts.into_iter().map(|(name, count)| v1::SyscallCount { name, count }).collect(),
        }
    }
}

fn rhythm(label: Label) -> v1::Rhythm {
    v1::Rhythm {
        label: label.kind.word().into(),
        words: label.words(),
        period_s: f64::from(label.period_s),
        kept: f64::from(label.kept),
        intervals: u64::from(label.intervals),
        variation: f64::from(label.variation),
        dispersion: f64::from(label.dispersion),
        burst_calls: f64::from(label.burst_calls),
        silence_minutes: f64::from(label.silence_minutes),
    }
}

fn need(forecast: Forecast) -> v1::Need {
    let interval = |one: Interval| {
        let [low, target, high] = [one.low, one.target, one.high].map(f64::from);
        Some(v1::Interval { low, target, high })
    };
    let storage = match forecast.storage {
        StorageType::None => "none",
        StorageType::Standard => "standard",
        StorageType::Ssd => "ssd",
    };
    v1::Need {
        profile: forecast.name,
        confidence: f64::from(forecast.confidence),
        runs: forecast.runs as u64,
        vcpu: interval(forecast.vcpu),
        memory_mib: interval(forecast.memory_mib),
        storage: storage.into(),
        storage_mib_per_s: interval(forecast.storage_mib_per_s),
        network_mbit_per_s: interval(forecast.network_mbit_per_s),
        reason: forecast.reason,
    }
}

#[tonic::async_trait]
impl v1::weft_server::Weft for Control {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusReply>, Status> {
        let weave = ask(&self.weave, driver::Message::Look).await?;
        let learn = ask(&self.learn, learn::Message::Look).await?;
        let predict = ask(&self.predict, predict::Message::Look).await?;
        let all = self.segments.all();
        // A segment that came since the stages were asked is shown the next time.
        let live = |index: &usize| all[*index].live && *index < weave.trouble.len();
        let totals = learn.totals.iter().enumerate().filter(|(index, _)| live(index));
        let segment = |index: usize, totals: &learn::Totals| {
            let label = predict.labels.get(index).copied().flatten();
            self.segment(index, &weave, totals, label)
        };
        Ok(Response::new(v1::StatusReply {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_ms: self.began.elapsed().as_millis() as u64,
            weaving: self.config.agent.weave,
            containerd: self.containerd.load(Ordering::Relaxed),
            model_rows: predict.own_rows as u64,
            silence: predict.silence.unwrap_or_default().into(),
            contexts: predict.contexts as u64,
            principals: predict.principals as u64,
            reserved_bytes: weave.reserved_bytes,
            budget_bytes: self.config.budget.memory.0,
            captured_segments: self.counters.captured(),
            capture_drops: self.counters.capture_drops(),
            redirected: self.counters.redirected(),
            segments: totals.map(|(index, totals)| segment(index, totals)).collect(),
            instances: weave.instances.iter().map(|instance| self.instance(instance, weave.now_ms)).collect(),
            spare_networks: weave.spare_networks.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn graphs(&self, _: Request<v1::GraphsRequest>) -> Result<Response<v1::GraphsReply>, Status> {
        let weave = ask(&self.weave, driver::Message::Look).await?;
        let named = |number: u64| weave.instances.iter().find(|instance| instance.number == number);
        let node = |node: &crate::weave::Node| v1::NodeStatus {
            segment: self.name(node.segment),
            instance: node.instance.and_then(named).map(|instance| instance.name.clone()).unwrap_or_default(),
            confidence: node.confidence,
            held_ms: node.deadline_ms.saturating_sub(weave.now_ms),
            used: node.used,
        };
        let graph = |graph: &crate::weave::Graph| v1::GraphStatus {
            id: journal::graph(graph.number, &self.epoch),
            state: graph.state.word().into(),
            age_ms: weave.now_ms.saturating_sub(graph.planned_ms),
            nodes: graph.nodes.iter().map(node).collect(),
        };
        Ok(Response::new(v1::GraphsReply { graphs: weave.graphs.iter().map(graph).collect() }))
    }

    async fn forecasts(
        &self,
        request: Request<v1::ForecastsRequest>,
    ) -> Result<Response<v1::ForecastsReply>, Status> {
        let learn = ask(&self.learn, learn::Message::Look).await?;
        let predict = ask(&self.predict, predict::Message::Look).await?;
        let step = |(step, worth): (&crate::weave::Step, &learn::Worth)| v1::StepStatus {
            segment: self.name(step.segment),
            confidence: step.confidence,
            expected_ms: step.expected_ms,
            position: step.position,
            bar: worth.weighed.map(|weighed| weighed.bar),
            waste_mb_s: worth.weighed.map_or(0.0, |weighed| weighed.waste_gb_s * MB_PER_GB),
            gain_mb_s: worth.weighed.map_or(0.0, |weighed| weighed.gain_gb_s * MB_PER_GB),
            outcome: worth.lesson.as_ref().map_or("", |lesson| lesson.verdict.word()).into(),
            saved_ms: worth.lesson.as_ref().map_or(0.0, |lesson| lesson.saved_ms),
            wasted_mb_s: worth.lesson.as_ref().map_or(0.0, learn::Lesson::wasted_mb_s),
        };
        let forecasts = learn.forecasts.iter().map(|told| v1::ForecastStatus {
            id: told.forecast.id,
            at_ms: told.at_ms,
            trigger: self.name(told.forecast.trigger),
            path: told.forecast.path.iter().zip(&told.steps).map(step).collect(),
        });
        let explanation = if request.get_ref().explain { predict.explanation } else { Vec::new() };
        Ok(Response::new(v1::ForecastsReply {
            forecasts: forecasts.collect(),
            silence: predict.silence.unwrap_or_default().into(),
            model_rows: predict.own_rows as u64,
            explanation: explanation.into_iter().take(EXPLAINED_MAX).collect(),
        }))
    }

    async fn accuracy(&self, _: Request<v1::AccuracyRequest>) -> Result<Response<v1::AccuracyReply>, Status> {
        let view = ask(&self.trainer, trainer::Message::Look).await?;
        let all = self.segments.all();
        let identities = Identities::new(all.iter().map(|served| served.segment.name.as_str()));
        Ok(Response::new(super::models::accuracy(&view, &identities)))
    }

    async fn models(&self, request: Request<v1::ModelsRequest>) -> Result<Response<v1::ModelsReply>, Status> {
        let models = if request.get_ref().roll_back {
            ask(&self.trainer, trainer::Message::RollBack).await?.map_err(|error| match error {
                RollbackError::NothingBefore => Status::failed_precondition(error.to_string()),
                error => Status::internal(error.to_string()),
            })
        } else {
            let models = ask(&self.trainer, trainer::Message::Models).await?;
            models.map_err(|error| Status::internal(error.to_string()))
        };
        Ok(Response::new(super::models::models(&models?)))
    }

    async fn profile(
        &self,
        request: Request<v1::ProfileRequest>,
    ) -> Result<Response<v1::ProfileReply>, Status> {
        let wanted = &request.get_ref().segment;
        let all = self.segments.all();
        let live = || all.iter().enumerate().filter(|(_, served)| served.live);
        let named = |(_, served): &(usize, &Served)| wanted.is_empty() || served.segment.name == *wanted;
        let segments: Vec<_> = live().filter(named).collect();
        if segments.is_empty() {
            let known: Vec<_> = live().map(|(_, served)| served.segment.name.as_str()).collect();
            let known = known.join(", ");
            return Err(Status::not_found(format!(
                "there is no segment `{wanted}`; this agent serves: {known}"
            )));
        }
        let mut profiles = Vec::with_capacity(segments.len());
        for (index, _) in segments {
            profiles.push(self.profile_of(index).await);
        }
        Ok(Response::new(v1::ProfileReply { segments: profiles }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Line, Status>> + Send>>;

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let lines = BroadcastStream::new(self.journal.watch()).map(|line| {
            let json = match line {
                Ok(line) => line.to_string(),
                Err(tokio_stream::wrappers::errors::BroadcastStreamRecvError::Lagged(count)) => {
                    format!("{{\"kind\":\"lagged\",\"lines\":{count}}}")
                }
            };
            Ok(v1::Line { json })
        });
        Ok(Response::new(Box::pin(lines)))
    }

    type RecordStream = super::record::Records;

    async fn record(&self, _: Request<v1::RecordRequest>) -> Result<Response<Self::RecordStream>, Status> {
        let records = super::record::record(self.journal.watch(), self.segments.clone(), self.weave.clone());
        Ok(Response::new(records))
    }

    type DeployStream = super::deploy::Steps;

    async fn deploy(
        &self,
        request: Request<Streaming<v1::DeployPart>>,
    ) -> Result<Response<Self::DeployStream>, Status> {
        super::deploy::deploy(self.deployer.clone(), request.into_inner()).await.map(Response::new)
    }

    async fn code(&self, request: Request<v1::CodeRequest>) -> Result<Response<v1::CodeReply>, Status> {
        let (deployer, segment) = (self.deployer.clone(), request.into_inner().segment);
        let read = move || {
            let kept = deployer.intake().graphs().of_segment(&segment);
            let nothing = || {
                format!(
                    "nothing was read of `{segment}`: it is not served, or its code did not come as an upload"
                )
            };
            kept.map_err(|error| Status::internal(error.to_string()))?
                .ok_or_else(|| Status::not_found(nothing()))
        };
        let read = tokio::task::spawn_blocking(read).await;
        let json = read.map_err(|_| Status::internal("reading it back ended without a word"))??;
        Ok(Response::new(v1::CodeReply { json }))
    }

    async fn drain(&self, _: Request<v1::DrainRequest>) -> Result<Response<v1::DrainReply>, Status> {
        // The channel holds one request to stop; a second one asks for what is under way already.
        let _ = self.stop.try_send(());
        Ok(Response::new(v1::DrainReply {}))
    }
}
