//! Questions to a code graph. In: a graph, a question, a name. Out: nodes, the nearest first, each with its distance and
//! whether every step to it is certain. A name may be the end of a longer one, as far as it is the only such. Refuses a
//! name that nothing has, or several have, and says which.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::code::{Certainty, CodeGraph, Edge, EdgeKind, NodeId, NodeKind};

/// Names that an error lists.
const NAMES_MAX: usize = 8;

/// What is asked of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// What calls it.
    Callers,
    /// What it calls and does.
    Callees,
    /// Everything that a change of it may change: what calls, imports or inherits it, directly or not.
    Impact,
}

/// A node of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The node.
    pub node: NodeId,
    /// Steps from the node that was asked for.
    pub distance: u32,
    /// Whether all of these steps are certain.
    pub certainty: Certainty,
    /// The line of the last step, in the file of whoever calls; 0 for none.
    pub line: u32,
}

/// Why a name means no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is called so.
    #[error("nothing in the code is called `{name}`; `weft code graph` lists what there is")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Several things are called so.
    #[error("`{name}` may be {}; give more of the name", all.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// What it may be.
        all: Vec<String>,
    },
}

impl CodeGraph {
    /// The node of a name, whole or as far as it is the only one that ends so.
    ///
    /// # Errors
    /// [`NameError`] when there is none, or more than one.
    pub fn named(&self, name: &str) -> Result<NodeId, NameError> {
        let asked = |kind| !matches!(kind, NodeKind::Parameter | NodeKind::Return);
        let whole = || self.iter().filter(|(_, node)| asked(node.kind) && node.name == name);
        // A module and what it is a library for may have one name; the program's own comes first.
        let own = whole().find(|(_, node)| node.file.is_some()).or_else(|| whole().next());
        if let Some((id, _)) = own {
            return Ok(id);
        }
        let ends = |full: &str| full.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let mut found = self.iter().filter(|(_, node)| asked(node.kind) && ends(&node.name));
        let name = name.to_owned();
        let Some((first, _)) = found.next() else { return Err(NameError::Unknown { name }) };
        let mut all: Vec<String> = found.map(|(_, node)| node.name.clone()).take(NAMES_MAX).collect();
        if all.is_empty() {
            return Ok(first);
        }
        all.insert(0, self.node(first).name.clone());
        Err(NameError::Ambiguous { name, all })
    }

    /// Answers a question of one node.
    pub fn ask(&self, question: Question, node: NodeId) -> Vec<Found> {
        match question {
            Question::Callers => self.around(node, Way::Back, &[EdgeKind::Calls], 1),
            Question::Callees => self.around(node, Way::Forth, &[EdgeKind::Calls, EdgeKind::Performs], 1),
            Question::Impact => {
                let kinds = [EdgeKind::Calls, EdgeKind::Imports, EdgeKind::Inherits];
                self.around(node, Way::Back, &kinds, u32::MAX)
            }
        }
    }

    /// The shortest way of calls from one node to another, both among them; empty if there is none.
    pub fn path(&self, from: NodeId, to: NodeId) -> Vec<Found> {
        let kinds = [EdgeKind::Calls, EdgeKind::Performs];
        let mut reached = Reached::new(self, from);
        self.spread(&mut reached, Way::Forth, &kinds, u32::MAX, Some(to));
        let mut path = Vec::new();
        let mut at = reached.of[to.0 as usize];
        while let Some(step) = at {
            path.push(step.found);
            at = step.before.and_then(|before| reached.of[before.0 as usize]);
        }
        path.reverse();
        path
    }

    fn around(&self, from: NodeId, way: Way, kinds: &[EdgeKind], most: u32) -> Vec<Found> {
        let mut reached = Reached::new(self, from);
        self.spread(&mut reached, way, kinds, most, None);
        let itself = self.steps(from, way, kinds).find(|edge| edge.from == edge.to);
        let again =
            itself.map(|edge| Found { node: from, distance: 1, certainty: edge.certainty, line: edge.line });
        let others = reached.order.iter().skip(1).filter_map(|node| reached.of[node.0 as usize]);
        again.into_iter().chain(others.map(|step| step.found)).collect()
    }

    fn spread(&self, reached: &mut Reached, way: Way, kinds: &[EdgeKind], most: u32, until: Option<NodeId>) {
        let back = if way == Way::Back { self.backwards(kinds) } else { Vec::new() };
        let mut open = VecDeque::from(reached.order.clone());
        while let Some(at) = open.pop_front() {
            let Some(here) = reached.of[at.0 as usize].map(|step| step.found) else { continue };
            if until == Some(at) || here.distance >= most {
                continue;
            }
            let forth;
            let edges: &[Edge] = match way {
                Way::Back => &back[at.0 as usize],
                Way::Forth => {
                    forth = self.steps(at, way, kinds).copied().collect::<Vec<_>>();
                    &forth
                }
            };
            for edge in edges {
                let next = if way == Way::Back { edge.from } else { edge.to };
                let certain = (here.certainty, edge.certainty) == (Certainty::Exact, Certainty::Exact);
                let found = Found {
                    node: next,
                    distance: here.distance + 1,
                    certainty: if certain { Certainty::Exact } else { Certainty::Inferred },
                    line: edge.line,
                };
                let place = &mut reached.of[next.0 as usize];
                // Of two ways as short, the certain one is told.
                let better = place.is_none_or(|known| {
                    known.found.distance == found.distance && known.found.certainty > found.certainty
                });
                if place.is_none() {
                    reached.order.push(next);
                    open.push_back(next);
                }
                if better {
                    *place = Some(Step { found, before: Some(at) });
                }
            }
        }
    }

    fn steps<'a>(&'a self, at: NodeId, way: Way, kinds: &'a [EdgeKind]) -> impl Iterator<Item = &'a Edge> {
        let start = self.edges.partition_point(|edge| way == Way::Forth && edge.from < at);
        let of_it = move |edge: &&Edge| if way == Way::Back { edge.to == at } else { edge.from == at };
        let near = self.edges[start..].iter().take_while(move |edge| way == Way::Back || edge.from == at);
        near.filter(of_it).filter(move |edge| kinds.contains(&edge.kind))
    }

    fn backwards(&self, kinds: &[EdgeKind]) -> Vec<Vec<Edge>> {
        let mut back = vec![Vec::new(); self.nodes.len()];
        for edge in self.edges.iter().filter(|edge| kinds.contains(&edge.kind)) {
            back[edge.to.0 as usize].push(*edge);
        }
        back
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
}

#[derive(Clone, Copy)]
struct Step {
    found: Found,
    before: Option<NodeId>,
}

struct Reached {
    of: Vec<Option<Step>>,
    order: Vec<NodeId>,
}

impl Reached {
    fn new(graph: &CodeGraph, from: NodeId) -> Self {
        let mut of = vec![None; graph.nodes.len()];
        let found = Found { node: from, distance: 0, certainty: Certainty::Exact, line: 0 };
        of[from.0 as usize] = Some(Step { found, before: None });
        Self { of, order: vec![from] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Bounds, SourceFile, analyse};

    const SHOP: &str = "import requests\n\nclass Cart:\n    def total(self):\n        return price(1)\n\n\
        class Gift(Cart):\n    pass\n\ndef price(n):\n    return fetch(n) if n else price(n - 1)\n\n\
        def fetch(n):\n    return requests.get('/')\n\ndef pay():\n    return Cart().total()\n";

    fn graph() -> CodeGraph {
        analyse(&[SourceFile::new("shop.py", SHOP)], &Bounds::default()).graph
    }

    fn names(graph: &CodeGraph, found: &[Found]) -> Vec<(String, u32)> {
        found.iter().map(|one| (graph.node(one.node).name.clone(), one.distance)).collect()
    }

    fn told(all: &[(&str, u32)]) -> Vec<(String, u32)> {
        all.iter().map(|(name, distance)| ((*name).to_owned(), *distance)).collect()
    }

    #[test]
    fn callers_and_callees_are_one_step_away_and_a_function_that_calls_itself_is_both() {
        let graph = graph();
        let price = graph.named("price").unwrap();
        let callers = names(&graph, &graph.ask(Question::Callers, price));
        assert_eq!(callers, told(&[("shop.price", 1), ("shop.Cart.total", 1)]));
        let callees = names(&graph, &graph.ask(Question::Callees, price));
        assert_eq!(callees, told(&[("shop.price", 1), ("shop.fetch", 1)]));
    }

    #[test]
    fn a_change_reaches_whoever_calls_through_others_nearest_first() {
        let graph = graph();
        let fetch = graph.named("shop.fetch").unwrap();
        let impact = names(&graph, &graph.ask(Question::Impact, fetch));
        assert_eq!(impact, told(&[("shop.price", 1), ("shop.Cart.total", 2), ("shop.pay", 3)]));
    }

    #[test]
    fn the_way_between_two_is_the_shortest_and_ends_at_what_is_done_outside() {
        let graph = graph();
        let (pay, http) = (graph.named("pay").unwrap(), graph.named("http").unwrap());
        let path = names(&graph, &graph.path(pay, http));
        let names: Vec<&str> = path.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["shop.pay", "shop.Cart.total", "shop.price", "shop.fetch", "http"]);
        assert!(graph.path(http, pay).is_empty());
    }

    #[test]
    fn a_name_that_nothing_or_more_than_one_has_is_refused_with_what_it_may_be() {
        let twice =
            "class A:\n    def go(self):\n        pass\n\nclass B:\n    def go(self):\n        pass\n";
        let graph = analyse(&[SourceFile::new("m.py", twice)], &Bounds::default()).graph;
        assert_eq!(graph.named("stay"), Err(NameError::Unknown { name: "stay".into() }));
        let error = graph.named("go").unwrap_err().to_string();
        assert_eq!(error, "`go` may be m.A.go, m.B.go; give more of the name");
        assert!(graph.named("A.go").is_ok());
    }
}
