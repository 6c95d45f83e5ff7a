//! What libraries cost. In: the last part of the name of what is called, as it is written in any of the languages, for the
//! type of a receiver is seldom known. Out: how large its result is, and what the call costs by what it walks over.
//! Names that mean different things in different languages are told apart by how they are called.

use super::growth::Growth;
use crate::graph::LanguageId;

/// How large the result of a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizeOf {
    /// The number of elements of its argument or receiver.
    Length,
    /// As large as its argument, or else its receiver.
    SameValue,
    /// The smallest of its arguments.
    Least,
    /// The largest of its arguments.
    Most,
    /// The square root.
    Root,
    /// The logarithm.
    Log,
    /// Does not grow.
    Constant,
    /// Numbers up to its argument.
    Range,
    /// As many elements as its arguments or its receiver have.
    Elements,
    /// As many elements as the shortest of its arguments.
    Shortest,
    /// A collection of as many elements as the argument says.
    Made,
    /// Every subset, or every order.
    Subsets,
    /// Every choice of as many as the second argument says.
    Choices,
    /// Every combination of its arguments' elements.
    Product,
    /// What is read.
    Input,
    /// Not known.
    Unknown,
}

/// The last part of a path.
pub(super) fn last(path: &str) -> &str {
    path.rsplit(['.', '/', ':']).next().unwrap_or(path)
}

/// Attributes and names that do not grow.
pub(super) fn is_constant(name: &str) -> bool {
    matches!(
        name,
        "ascii_lowercase"
            | "ascii_uppercase"
            | "ascii_letters"
            | "digits"
            | "MAX_VALUE"
            | "MIN_VALUE"
            | "MAX_SAFE_INTEGER"
            | "Infinity"
            | "MaxInt32"
            | "MAX"
            | "MIN"
            | "inf"
    )
}

/// Whether what is called makes a map or a set.
pub(super) fn is_map(name: &str) -> bool {
    matches!(
        name,
        "dict"
            | "defaultdict"
            | "Counter"
            | "OrderedDict"
            | "set"
            | "frozenset"
            | "Map"
            | "Set"
            | "WeakMap"
            | "HashMap"
            | "HashSet"
            | "TreeMap"
            | "TreeSet"
            | "LinkedHashMap"
            | "LinkedHashSet"
            | "BTreeMap"
            | "BTreeSet"
            | "make"
    )
}

/// How large the result of a call is, by the last part of its name.
pub(super) fn size_of(name: &str) -> SizeOf {
    match name {
        "len" | "size" | "length" | "__len__" | "count" => SizeOf::Length,
        "int" | "float" | "abs" | "floor" | "ceil" | "round" | "trunc" | "Number" | "parseInt"
        | "parseFloat" | "BigInt" | "valueOf" | "intValue" | "unwrap" | "expect" | "clone" | "to_owned"
        | "iter" | "iter_mut" | "into_iter" | "cloned" | "copied" | "rev" | "as_bytes" | "chars"
        | "bytes" | "as_str" | "into" | "collect" | "unwrap_or" | "Some" | "Ok" | "Box" | "Rc" | "borrow"
        | "borrow_mut" | "as_ref" => SizeOf::SameValue,
        "min" => SizeOf::Least,
        "max" => SizeOf::Most,
        "sqrt" | "isqrt" | "Sqrt" => SizeOf::Root,
        "log" | "log2" | "log10" | "Log2" | "Log10" | "bit_length" | "bin" | "hex" | "oct" | "str"
        | "String" | "toString" | "to_string" | "clz32" | "bitCount" | "Itoa" | "FormatInt"
        | "toBinaryString" | "count_ones" | "OnesCount" => SizeOf::Log,
        "ord" | "charCodeAt" | "codePointAt" | "charAt" | "chr" | "fromCharCode" | "bool" | "indexOf"
        | "hash" | "isinstance" | "hasattr" | "isNaN" => SizeOf::Constant,
        "range" | "xrange" | "arange" | "rangeClosed" => SizeOf::Range,
        "sorted" | "list" | "tuple" | "set" | "dict" | "frozenset" | "reversed" | "enumerate" | "map"
        | "filter" | "from" | "keys" | "values" | "items" | "entries" | "split" | "strip" | "copy"
        | "slice" | "concat" | "reverse" | "sort" | "fill" | "flat" | "flatMap" | "accumulate"
        | "groupby" | "Counter" | "deque" | "toLowerCase" | "toUpperCase" | "lower" | "upper" | "replace"
        | "replaceAll" | "join" | "most_common" | "defaultdict" | "deepcopy" | "toCharArray" | "asList"
        | "stream" | "keySet" | "entrySet" | "Set" | "Map" | "iterator" | "toArray" | "sum" | "trim"
        | "splitlines" | "copyOf" | "copyOfRange" | "windows" | "chunks" | "skip" | "take" | "starmap"
        | "chain" | "islice" | "cycle" | "substring" | "append" | "HashMap" | "HashSet" | "ArrayList"
        | "LinkedList" | "ArrayDeque" | "PriorityQueue" | "TreeMap" | "TreeSet" | "StringBuilder"
        | "lines" | "boxed" | "array" | "bytearray" => SizeOf::Elements,
        "zip" | "zip_longest" => SizeOf::Shortest,
        "Array" | "zeros" | "ones" | "full" | "empty" | "with_capacity" | "vec" | "make" | "repeat"
        | "Int32Array" | "Uint8Array" | "Float64Array" | "Uint32Array" | "Int8Array" => SizeOf::Made,
        "permutations" | "powerset" => SizeOf::Subsets,
        "combinations" | "combinations_with_replacement" => SizeOf::Choices,
        "product" | "pairwise" => SizeOf::Product,
        "input" | "read" | "readline" | "readlines" | "nextInt" | "nextLong" | "next" | "nextLine"
        | "readLine" | "nextDouble" | "raw_input" | "ReadString" | "Scan" | "Text" | "read_line"
        | "nextToken" => SizeOf::Input,
        _ => SizeOf::Unknown,
    }
}

/// What a call walks over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// Its receiver.
    Receiver,
    /// Its first argument.
    First,
    /// Its receiver, or its first argument where it has no receiver that could be walked over.
    Either,
}

/// What a call costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallCost {
    pub(super) over: Over,
    /// In terms of the number of elements that it walks over.
    pub(super) rate: Rate,
    /// What it does, in words.
    pub(super) does: &'static str,
}

/// How a call's cost grows with the number of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    /// Seldom more than a step: engines move no elements where they can move the list's beginning.
    Seldom,
    Log,
    Linear,
    LinearLog,
}

impl Rate {
    pub(super) fn of(self, length: Growth) -> Growth {
        match self {
            Self::Seldom => Growth::ONE,
            Self::Log => length.log(),
            Self::Linear => length,
            Self::LinearLog => length.times(length.log()),
        }
    }
}

/// How a call is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    pub(super) language: LanguageId,
    pub(super) name: &'a str,
    pub(super) args: usize,
    pub(super) has_receiver: bool,
    /// What made the receiver, where that is known.
    pub(super) receiver_made_by: Option<&'a str>,
    /// The first argument is the literal zero.
    pub(super) first_is_zero: bool,
}

/// The cost of a library call; `None` where it does not grow, or is not known.
pub(super) fn cost_of(call: &Written<'_>) -> Option<CallCost> {
    use Over::{Either, First, Receiver};
    use Rate::{Linear, LinearLog, Log, Seldom};
    let cost = |over, rate, does| Some(CallCost { over, rate, does });
    let made_by = call.receiver_made_by.unwrap_or_default();
    let tree = matches!(
        made_by,
        "TreeMap"
            | "TreeSet"
            | "BTreeMap"
            | "BTreeSet"
            | "SortedList"
            | "SortedDict"
            | "SortedSet"
            | "ConcurrentSkipListMap"
    );
    let heap = matches!(
        made_by,
        "PriorityQueue"
            | "PriorityBlockingQueue"
            | "BinaryHeap"
            | "MinPriorityQueue"
            | "MaxPriorityQueue"
            | "MinHeap"
            | "MaxHeap"
            | "Heap"
    );
    let hashed = matches!(
        made_by,
        "set"
            | "dict"
            | "defaultdict"
            | "Counter"
            | "Set"
            | "Map"
            | "HashMap"
            | "HashSet"
            | "LinkedHashMap"
            | "LinkedHashSet"
            | "frozenset"
            | "OrderedDict"
            | "ConcurrentHashMap"
    );
    match call.name {
        "sort"
        | "sorted"
        | "sort_unstable"
        | "sort_by"
        | "sort_by_key"
        | "sort_unstable_by"
        | "sort_unstable_by_key"
        | "sortBy"
        | "orderBy"
        | "Ints"
        | "Strings"
        | "Float64s"
        | "Slice"
        | "SliceStable"
        | "Sort"
        | "SortFunc"
        | "parallelSort"
        | "toSorted"
        | "nlargest"
        | "nsmallest"
        | "most_common"
        | "argsort"
        | "Stable"
        | "SortStableFunc" => {
            // `copy.Slice` and the like are rare; sorting is what these names mean.
            let over = if matches!(call.name, "nlargest" | "nsmallest") { First } else { Either };
            cost(over, LinearLog, "sorts")
        }
        "heappush"
        | "heappop"
        | "heapreplace"
        | "heappushpop"
        | "bisect"
        | "bisect_left"
        | "bisect_right"
        | "binary_search"
        | "binary_search_by"
        | "binarySearch"
        | "SearchInts"
        | "Search"
        | "BinarySearch"
        | "partition_point"
        | "lower_bound"
        | "upper_bound"
        | "sortedIndex"
        | "binary_search_by_key" => cost(First, Log, "searches by halving, or keeps a heap"),
        "insort" | "insort_left" | "insort_right" => cost(First, Linear, "inserts into a sorted list"),
        "heapify" => cost(First, Linear, "makes a heap"),
        "Push" | "Pop" | "Fix" if call.args > 0 && call.has_receiver => cost(First, Log, "keeps a heap"),
        "add" | "offer" | "poll" | "remove" | "push" | "pop" | "enqueue" | "dequeue" if heap => {
            cost(Receiver, Log, "keeps a heap")
        }
        "add" | "put" | "get" | "remove" | "discard" | "insert" | "contains" | "containsKey" | "floorKey"
        | "ceilingKey" | "higherKey" | "lowerKey" | "floor" | "ceiling" | "higher" | "lower"
        | "pollFirst" | "pollLast" | "firstKey" | "lastKey" | "first" | "last" | "floorEntry"
        | "ceilingEntry" | "merge" | "getOrDefault" | "range" | "entry" | "contains_key" | "pop"
        | "bisect_key"
            if tree =>
        {
            cost(Receiver, Log, "looks up in a sorted tree")
        }
        "pow" | "Pow" | "powi" if call.args >= 3 => cost(First, Log, "raises to a power modulo a number"),
        "insert" if call.first_is_zero && call.language == LanguageId::Python => {
            cost(Receiver, Linear, "inserts at the front, and moves all elements")
        }
        "pop" if call.first_is_zero && call.language == LanguageId::Python => {
            cost(Receiver, Linear, "takes from the front, and moves all elements")
        }
        "shift" if call.language.family() == LanguageId::JavaScript => {
            cost(Receiver, Seldom, "works at the front, and moves all elements")
        }
        "unshift" if call.language.family() == LanguageId::JavaScript => {
            cost(Receiver, Linear, "works at the front, and moves all elements")
        }
        "index" | "remove" | "count" | "find" | "rfind" | "includes" | "indexOf" | "lastIndexOf"
        | "contains" | "findIndex" | "some" | "every" | "find_index"
            if call.has_receiver && call.args > 0 && !hashed =>
        {
            let lists = !matches!(call.name, "remove" | "contains") || call.language == LanguageId::Python;
            if lists { cost(Receiver, Linear, "searches element by element") } else { None }
        }
        "sum" | "max" | "min" | "list" | "tuple" | "set" | "dict" | "frozenset" | "Counter" | "deepcopy"
        | "bytearray" | "any" | "all" | "fsum" | "deque"
            if !call.has_receiver || matches!(made_by, "collections" | "copy") || call.name == "Counter" =>
        {
            if call.args == 1 {
                cost(First, Linear, "goes over all elements")
            } else {
                None
            }
        }
        "join" if call.language == LanguageId::Python => cost(First, Linear, "joins all elements"),
        "join" => cost(Either, Linear, "joins all elements"),
        "Set" | "Map" | "HashSet" | "HashMap" | "ArrayList" | "ArrayDeque" | "TreeSet" | "TreeMap"
            if !call.has_receiver && call.args == 1 =>
        {
            cost(First, Linear, "goes over all elements")
        }
        "reverse" | "copy" | "slice" | "splice" | "concat" | "fill" | "map" | "filter" | "reduce"
        | "forEach" | "flat" | "flatMap" | "split" | "replace" | "replaceAll" | "strip" | "lower"
        | "upper" | "toLowerCase" | "toUpperCase" | "clone" | "extend" | "addAll" | "from" | "keys"
        | "values" | "items" | "entries" | "toCharArray" | "substring" | "copyOf" | "copyOfRange"
        | "asList" | "to_vec" | "collect" | "stream" | "startswith" | "translate" | "Copy" | "Repeat"
        | "Split" | "Join" | "Contains" | "Replace" | "rotate" | "repeat" | "subList" | "toString"
            if call.has_receiver =>
        {
            // Views and iterators cost nothing before they are walked over, which is counted where it is done.
            let lazy = matches!(call.name, "keys" | "values" | "items" | "entries" | "stream")
                || (call.language == LanguageId::Python && call.name == "map");
            if lazy || (call.name == "toString" && made_by != "StringBuilder") {
                return None;
            }
            let over =
                if matches!(call.name, "from" | "copyOf" | "copyOfRange" | "asList" | "addAll" | "extend") {
                    First
                } else {
                    Either
                };
            cost(over, Linear, "goes over all elements")
        }
        _ => None,
    }
}

/// Methods that are mostly called on single words and letters.
pub(super) fn is_of_short_text(name: &str) -> bool {
    matches!(
        name,
        "lower"
            | "upper"
            | "strip"
            | "toLowerCase"
            | "toUpperCase"
            | "trim"
            | "startswith"
            | "replace"
            | "split"
            | "toCharArray"
            | "count"
            | "index"
            | "find"
    )
}

/// Whether a function of this name, which takes nothing, reads the next word of the input.
pub(super) fn reads_a_word(name: &str) -> bool {
    let short = ["ni", "nl", "ns", "nextInt", "readInt", "ii", "inp", "get_int"].contains(&name);
    short || name.starts_with("next") || name.starts_with("read") || reads_input(name)
}

/// Whether a call reads what the program is given.
pub(super) fn reads_input(name: &str) -> bool {
    size_of(name) == SizeOf::Input
}
