//! What the models learn of users and callers, told as small stories.

use weft_models::*;

/// The shop: numbers for segments.
const HOME: u32 = 1;
const CART: u32 = 2;
const CHECKOUT: u32 = 3;
const PRICE: u32 = 4;
const STOCK: u32 = 5;
const PAY: u32 = 6;
const SEARCH: u32 = 7;

fn user(number: u64) -> Principal {
    Principal::User(PrincipalId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

fn request(principal: Principal, segment: u32, at_ms: u64) -> Observation {
    Observation {
        at_ms,
        principal,
        segment: SegmentId(segment),
        method: 1,
        path_pattern: u64::from(segment),
        parameters: 0,
        syscalls: None,
    }
}

/// A memory with the lessons it gave.
struct Node {
    history: History,
    lessons: Vec<Lesson>,
    now_ms: u64,
}

impl Node {
    fn new() -> Self {
        Self { history: History::new(Limits::default()), lessons: Vec::new(), now_ms: 1_000_000 }
    }

    fn asks(&mut self, principal: Principal, segment: u32, after_ms: u64) {
        self.now_ms += after_ms;
        self.lessons.extend(self.history.observe(&request(principal, segment, self.now_ms)));
    }

    fn begins(&mut self, segment: u32) {
        self.lessons.extend(self.history.begin(SegmentId(segment), self.now_ms));
    }

    fn pause(&mut self) {
        self.now_ms += 60_000;
        self.lessons.extend(self.history.advance(self.now_ms));
    }

    fn model(&self) -> Model {
        Model::train(&self.lessons, Options::default(), 7).expect("enough lessons")
    }

    fn top(&self, model: &Model, principal: Principal) -> Ranked {
        model.rank(&self.history.candidates(principal, self.now_ms))[0]
    }
}

fn caller(segment: u32) -> Principal {
    Principal::Segment(SegmentId(segment))
}

/// One request to checkout, which calls price, stock and pay in a row.
fn checkout(node: &mut Node) {
    node.begins(CHECKOUT);
    for (callee, delay_ms) in [(PRICE, 5), (STOCK, 10), (PAY, 20)] {
        node.asks(caller(CHECKOUT), callee, delay_ms);
        node.begins(callee);
    }
}

#[test]
fn one_request_to_checkout_forecasts_price_then_stock_then_pay_at_rising_times() {
    let mut node = Node::new();
    for number in 0..200 {
        node.asks(user(number % 20), HOME, 100);
        node.begins(HOME);
        node.asks(user(number % 20), CHECKOUT, 300);
        checkout(&mut node);
        node.pause();
    }
    let model = node.model();
    node.asks(user(3), CHECKOUT, 100);
    let forecaster = Forecaster { history: &node.history, model: Some(&model), reach: Reach::default() };
    let trigger = Trigger { principal: Some(user(3)), segment: SegmentId(CHECKOUT), at_ms: node.now_ms };
    let forecast = forecaster.forecast(trigger);
    let step = |segment| forecast.path.iter().find(|s| s.segment == SegmentId(segment)).expect("is forecast");
    let (price, stock, pay) = (step(PRICE), step(STOCK), step(PAY));
    assert_eq!((price.position, stock.position, pay.position), (1, 2, 3), "{:#?}", forecast.path);
    assert!(price.expected_ms < stock.expected_ms && stock.expected_ms < pay.expected_ms);
    assert!((30.0..40.0).contains(&pay.expected_ms), "{pay:?}");
    assert!(pay.confidence > 0.8, "{pay:?}");
    assert_eq!(forecast.path[pay.parent.expect("comes after stock")].segment, SegmentId(STOCK));
    assert_eq!(forecast.silence, None);

    // One request earlier: what the user will ask for, and behind it what that will call.
    node.pause();
    node.asks(user(4), HOME, 100);
    let forecaster = Forecaster { history: &node.history, model: Some(&model), reach: Reach::default() };
    let trigger = Trigger { principal: Some(user(4)), segment: SegmentId(HOME), at_ms: node.now_ms };
    let forecast = forecaster.forecast(trigger);
    let segments: Vec<u32> = forecast.path.iter().map(|step| step.segment.0).collect();
    assert_eq!(segments, [CHECKOUT, PRICE, STOCK, PAY], "{:#?}", forecast.path);
}

#[test]
fn concurrent_requests_inside_a_caller_do_not_blur_its_chain() {
    let mut node = Node::new();
    for round in 0..150_u64 {
        // Three checkouts run at once, each a step behind the other.
        let mut waiting: Vec<Vec<u32>> = vec![vec![PAY, STOCK, PRICE]; 3];
        node.begins(CHECKOUT);
        node.begins(CHECKOUT);
        node.begins(CHECKOUT);
        let mut turn = round;
        while waiting.iter().any(|rest| !rest.is_empty()) {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = (turn >> 33) as usize % 3;
            if let Some(callee) = waiting[index].pop() {
                node.asks(caller(CHECKOUT), callee, 4);
            }
        }
        node.pause();
    }
    let model = node.model();
    node.begins(CHECKOUT);
    let price = node.top(&model, caller(CHECKOUT));
    assert_eq!(price.segment, SegmentId(PRICE));
    assert!(price.confidence > 0.9, "{price:?}");
    node.asks(caller(CHECKOUT), PRICE, 4);
    assert_eq!(node.top(&model, caller(CHECKOUT)).segment, SegmentId(STOCK));
}

#[test]
fn a_habit_of_order_two_is_learned_where_order_one_is_a_coin_toss() {
    let mut node = Node::new();
    for round in 0..300_u64 {
        let (before, after) = if round % 2 == 0 { (HOME, PAY) } else { (SEARCH, STOCK) };
        for segment in [before, CART, after] {
            node.asks(user(round % 7), segment, 500);
        }
        node.pause();
    }
    let model = node.model();
    for (before, after) in [(HOME, PAY), (SEARCH, STOCK)] {
        node.asks(user(99), before, 500);
        node.asks(user(99), CART, 500);
        let next = node.top(&model, user(99));
        assert_eq!(next.segment, SegmentId(after));
        assert!(next.confidence > 0.8, "{next:?}");
        node.pause();
    }
}

#[test]
fn two_users_with_opposite_habits_get_opposite_forecasts_although_they_interleave() {
    let mut node = Node::new();
    for _ in 0..200 {
        for segments in [[HOME, HOME], [CART, SEARCH], [PAY, STOCK]] {
            node.asks(user(1), segments[0], 300);
            node.asks(user(2), segments[1], 300);
        }
        node.pause();
    }
    let model = node.model();
    node.asks(user(1), HOME, 300);
    node.asks(user(2), HOME, 300);
    assert_eq!(node.top(&model, user(1)).segment, SegmentId(CART));
    assert_eq!(node.top(&model, user(2)).segment, SegmentId(SEARCH));
    assert!(node.top(&model, user(1)).confidence > 0.8);
    node.asks(user(2), SEARCH, 300);
    assert_eq!(node.top(&model, user(1)).segment, SegmentId(CART), "user 2 moved on, user 1 did not");
    assert_eq!(node.top(&model, user(2)).segment, SegmentId(STOCK));
}

#[test]
fn a_node_with_no_history_forecasts_nothing_and_says_why() {
    let empty = History::new(Limits::default());
    let trigger = Trigger { principal: Some(user(1)), segment: SegmentId(HOME), at_ms: 5 };
    let forecaster = Forecaster { history: &empty, model: None, reach: Reach::default() };
    assert_eq!(forecaster.forecast(trigger).silence, Some(Silence::NoModel));

    let mut node = Node::new();
    for round in 0..200 {
        let next = if round % 2 == 0 { CART } else { SEARCH };
        node.asks(user(1), HOME, 300);
        node.asks(user(1), next, 300);
        node.pause();
    }
    let model = node.model();
    let forecaster = Forecaster { history: &empty, model: Some(&model), reach: Reach::default() };
    let forecast = forecaster.forecast(trigger);
    assert_eq!((forecast.path.len(), forecast.silence), (0, Some(Silence::NoHistory)));

    node.asks(user(1), HOME, 300);
    let reach = Reach { floor: 1.1, ..Reach::default() };
    let forecaster = Forecaster { history: &node.history, model: Some(&model), reach };
    let trigger = Trigger { at_ms: node.now_ms, ..trigger };
    assert_eq!(forecaster.forecast(trigger).silence, Some(Silence::BelowFloor));
}

#[test]
fn segments_and_users_never_trained_on_are_ranked_without_retraining() {
    let mut node = Node::new();
    for round in 0..200 {
        for segment in [HOME, CART, if round % 4 == 0 { SEARCH } else { PAY }] {
            node.asks(user(round % 5), segment, 300);
        }
        node.pause();
    }
    let model = node.model();
    let (new_first, new_second) = (1001, 1002);
    for _ in 0..12 {
        node.asks(user(77), new_first, 300);
        node.asks(user(77), new_second, 300);
        node.pause();
    }
    node.asks(user(77), new_first, 300);
    let next = node.top(&model, user(77));
    assert_eq!(next.segment, SegmentId(new_second));
    assert!(next.confidence > 0.5, "{next:?}");
}

#[test]
fn what_did_not_come_in_time_is_a_lesson_too() {
    let mut node = Node::new();
    node.asks(user(1), HOME, 0);
    node.asks(user(1), CART, 300);
    node.pause();
    node.asks(user(2), HOME, 300);
    let before = node.lessons.len();
    node.pause();
    let settled = &node.lessons[before..];
    assert!(!settled.is_empty());
    assert!(settled.iter().all(|lesson| lesson.outcome == Outcome::NothingCame), "{settled:?}");
}

#[test]
fn what_follows_is_told_by_what_it_follows_even_where_a_crowd_in_step_makes_its_share_tell_as_well() {
    let mut node = Node::new();
    for crowd in 0..4 {
        let users = crowd * 60..(crowd + 1) * 60;
        users.clone().for_each(|number| node.asks(user(number), HOME, 2));
        node.now_ms += 1500;
        users.for_each(|number| node.asks(user(number), CART, 2));
    }
    let model = node.model();
    // Until now the cart had always the smaller share when it came, and home the larger one when it did not.
    for _ in 0..40 {
        node.asks(user(1000), CART, 10);
    }
    node.asks(user(1001), HOME, 10);
    let next = node.top(&model, user(1001));
    assert_eq!(next.segment, SegmentId(CART));
    assert!(next.confidence > 0.9, "{next:?}");
}
