//! Traces of any format as one thing: how they are told apart, what they become, what is refused.

use weft_models::contest::{Entrant, Trial, grown_until, mark_front, scored_from_us};
use weft_models::replay::{FixedKeepAlive, Node, Window, replay};
use weft_models::timing::GrowOptions;
use weft_models::trace::{
    Assumed, Call, Expansion, Fault, Format, Limits, MINUTE_US, Reading, SECOND_US, Trace, TraceError,
};

const HOW: Reading = Reading {
    limits: Limits {
        line_len_max: 1 << 16,
        names_max: 100,
        cells_max: 10_000,
        calls_per_unit_max: 10_000,
        reorder_max: 64,
    },
    assumed: Assumed { memory_kib: Some(64 << 10), start_us: 250_000, duration_us: 40_000 },
    expansion: Expansion::Even,
    calls_max: 1_000,
    path_depth: 1,
};

const INVOCATIONS: &str = "HashOwner,HashApp,HashFunction,Trigger,1,2\no,a,f,timer,1,2\n";
const PER_CALL: &str = "app,func,end_timestamp,duration\na,f,10.5,0.5\nb,g,11,9\n";
const LOG: &str = "h - - [13/Sep/2009:04:04:44 +0300] \"GET /cart/7?q=1 HTTP/1.1\" 200 1\n\
    h - - [13/Sep/2009:04:04:41 +0300] \"GET /pay HTTP/1.1\" 200 1\n";
const SPANS: &str = "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano\n\
    t,s,root,ts-cart-6f6cfc45b-h5m2n,GET,1655760362581506000,1655760362587302000\n\
    t,u,s,ts-cart-6f6cfc45b-h5m2n,inner,1655760362581507000,1655760362581508000\n\
    t,v,u,ts-pay-6f6cfc45b-h5m2n,GET,1655760362581508000,1655760362581509000\n";
const RECORDING: &str = "{\"recording\":{\"version\":1}}\n\
    {\"segment\":{\"name\":\"cart\",\"memory_bytes\":1048576,\"start_ms\":60.5}}\n\
    {\"request\":{\"at_us\":1764160000000000,\"segment\":\"cart\",\"principal\":\"u-1\",\"method\":\"GET\",\"path\":\"5f\"}}\n\
    {\"dropped\":{\"lines\":3}}\n\
    {\"request\":{\"at_us\":1764160000000009,\"segment\":\"cart\",\"principal\":\"u-1\",\"method\":\"GET\",\"path\":\"5f\",\"duration_us\":7}}\n\
    {\"end\":{\"at_us\":1764160009000000,\"requests\":2,\"dropped\":3}}\n";
const SECONDS: &str = "unix_s,metaKey,count\n1687124134,k,2\n";

fn read(format: Format, text: &str) -> Result<Trace, TraceError> {
    Trace::read(format, text.as_bytes(), &HOW)
}

fn told(format: Format, text: &str) -> String {
    read(format, text).expect_err("it is read").to_string()
}

#[test]
fn a_format_is_known_by_the_first_line_of_its_file() {
    for (text, format) in [
        (INVOCATIONS, Format::Azure2019),
        (PER_CALL, Format::Azure2021),
        (LOG, Format::Http),
        (SPANS, Format::Spans),
        (RECORDING, Format::Weft),
        (SECONDS, Format::Alibaba),
    ] {
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(Format::of(first), Some(format), "{first}");
        assert_eq!(Format::of(&format!("{first}\r\n")), Some(format));
        assert!(read(format, text).is_ok(), "{format:?}");
    }
    for text in
        ["", "\u{feff}", "date,time,size", "{\"key\": \"k\"}", "(\u{b5}/\u{fffd}", "trace,span,parent"]
    {
        assert_eq!(Format::of(text), None, "{text}");
    }
}

#[test]
fn calls_of_each_format_have_their_application_time_and_duration() {
    let seen = |format, text| {
        let trace = read(format, text).unwrap();
        let begin_us = trace.calls().next().unwrap().at_us;
        let one = |call: Call| {
            (trace.apps()[call.app as usize].name.clone(), call.at_us - begin_us, call.duration_us)
        };
        trace.calls().map(one).collect::<Vec<_>>()
    };
    let rows = |rows: &[(&str, u64, u64)]| {
        rows.iter().map(|(name, at, length)| ((*name).to_owned(), *at, *length)).collect::<Vec<_>>()
    };
    assert_eq!(seen(Format::Azure2021, PER_CALL), rows(&[("b", 0, 9_000_000), ("a", 8_000_000, 500_000)]));
    assert_eq!(seen(Format::Http, LOG), rows(&[("/pay", 0, 40_000), ("/cart", 3 * SECOND_US, 40_000)]));
    let spans = seen(Format::Spans, SPANS);
    assert_eq!(spans.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), ["ts-cart", "ts-pay"]);
    assert!(spans[0].2.abs_diff(5_796) <= 1, "{spans:?}");
    assert_eq!(seen(Format::Weft, RECORDING), rows(&[("cart", 0, 40_000), ("cart", 9, 7)]));
}

#[test]
fn what_a_trace_does_not_tell_is_assumed_and_what_it_tells_is_kept() {
    let app = |format, text| read(format, text).unwrap().apps()[0].clone();
    for (format, text) in [(Format::Azure2021, PER_CALL), (Format::Http, LOG), (Format::Spans, SPANS)] {
        assert_eq!((app(format, text).memory_kib, app(format, text).start_us), (64 << 10, 250_000));
    }
    let cart = app(Format::Weft, RECORDING);
    assert_eq!((cart.memory_kib, cart.start_us), (1_024, 60_500));
    assert_eq!(read(Format::Weft, RECORDING).unwrap().dropped(), 3);
    let untold = read(Format::Azure2019, INVOCATIONS).unwrap();
    assert_eq!((untold.apps()[0].memory_kib, untold.apps()[0].start_us), (64 << 10, 250_000));
    assert!(untold.calls().all(|call| call.duration_us == 40_000));
}

#[test]
fn a_trace_without_calls_or_with_too_many_is_refused() {
    for (format, text) in [
        (Format::Azure2019, "HashOwner,HashApp,HashFunction,Trigger,1\no,a,f,timer,0\n"),
        (Format::Azure2021, "app,func,end_timestamp,duration\n"),
        (Format::Http, "\n"),
        (Format::Weft, "{\"recording\":{\"version\":1}}\n"),
    ] {
        assert!(told(format, text).contains("the trace holds no call; name a file"), "{format:?}");
    }
    let text = format!("app,func,end_timestamp,duration\n{}", "a,f,10,1\n".repeat(1_001));
    assert!(told(Format::Azure2021, &text).starts_with("line 1002: more than 1000 calls"));
}

#[test]
fn a_bad_line_of_a_recording_is_told_with_its_cause() {
    for (from, to, cause) in [
        (
            "\"version\":1",
            "\"version\":2",
            "line 1: not a line of a recording by `weft record`: it has version 2",
        ),
        ("\"at_us\":1764160000000000", "\"at_us\":-5", "line 3"),
        ("\"at_us\":1764160000000000", "\"at_us\":99999999999999999", "is not between 0 and"),
        ("\"duration_us\":7", "\"duration_us\":1e30", "line 5"),
        ("\"start_ms\":60.5", "\"start_ms\":-1.0", "-1 in column `start_ms`"),
        ("\"name\":\"cart\"", "\"name\":\"pay\"", "no line tells of segment `cart`"),
        (
            "\"requests\":2,\"dropped\":3}}\n",
            "\"requ",
            "line 6: not a line of a recording by `weft record`: EOF",
        ),
        ("\"lines\":3", "\"rows\":3", "line 4"),
    ] {
        let text = told(Format::Weft, &RECORDING.replacen(from, to, 1));
        assert!(text.contains(cause) && text.starts_with("line "), "{to}: {text}");
    }
    let headless = RECORDING.split_once('\n').unwrap().1;
    assert!(told(Format::Weft, headless).contains("the first line does not say"), "{headless}");
}

#[test]
fn a_recording_out_of_order_beyond_what_is_held_back_is_refused() {
    let how = Reading { limits: Limits { reorder_max: 1, ..HOW.limits }, ..HOW };
    let text = RECORDING.replace("1764160000000009", "1764150000000000");
    let error = Trace::read(Format::Weft, text.as_bytes(), &how).unwrap_err();
    assert!(error.line == 5 && matches!(error.fault, Fault::OutOfOrder { .. }), "{error}");
    assert!(read(Format::Weft, &text).is_ok(), "what can be held back is put in order");
}

/// Timers of two periods over so many hours.
fn timers(hours: u64) -> Trace {
    let mut text = "app,func,end_timestamp,duration\n".to_owned();
    for minute in 0..hours * 60 {
        for (app, period) in [("a", 5), ("b", 7), ("c", 12)] {
            if minute % period == 0 {
                text += &format!("{app},f,{},1\n", 86_400 + minute * 60 + 20);
            }
        }
    }
    read(Format::Azure2021, &text).expect("rows are made as the format has them")
}

#[test]
fn a_trial_tells_what_a_replay_of_the_same_calls_tells() {
    let trace = timers(6);
    let from_us = scored_from_us(&trace, 0.5);
    let window = Window { from_us, until_us: trace.end_us() };
    // The last call is in minute 357.
    assert_eq!(from_us - trace.begin_us(), 358 / 2 * MINUTE_US);
    let mut trial = Trial { trace: &trace, node: Node::default(), window, model: None };
    let row = trial.run(Entrant::Fixed(10), &mut |_| ()).unwrap().unwrap();
    let policy = FixedKeepAlive { keep_us: 10 * MINUTE_US };
    let score = replay(trace.apps(), trace.calls(), policy, Node::default(), window).unwrap();
    assert_eq!((row.point.figures, row.calls), (score.figures(), score.calls()));
    assert_eq!(trial.run(Entrant::Weft(100.0), &mut |_| ()).unwrap(), None, "there are no trees");
    let options = GrowOptions { trees: 4, ..GrowOptions::default() };
    let model = grown_until(&trace, from_us, &options, 1).unwrap();
    trial.model = Some(&model);
    let mut rows: Vec<_> = [Entrant::Weft(20.0), Entrant::Fixed(10), Entrant::Oracle, Entrant::Dual(0.07)]
        .into_iter()
        .filter_map(|entrant| trial.run(entrant, &mut |_| ()).unwrap())
        .collect();
    mark_front(&mut rows);
    assert!(rows[0].pareto && !rows[2].pareto, "{rows:#?}");
    assert!(rows[0].point.figures.wasted_gb_s < row.point.figures.wasted_gb_s, "{rows:#?}");
    assert!(rows[3].evictions > 0 && rows[3].memory_gb_max <= 0.07, "{rows:#?}");
}

#[test]
fn a_past_without_calls_teaches_nothing() {
    let trace = timers(1);
    assert!(grown_until(&trace, trace.begin_us(), &GrowOptions::default(), 1).is_err());
}
