//! What library functions do to values. In: nothing. Out: the few shapes that the resolver knows how to follow. What has
//! no model takes its arguments in and gives back something of its own.

/// What calling a library function does to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// Functions that are given to it are called by it; what it gives back is the library's.
    Unknown,
    /// Gives back a new list of the elements of its arguments.
    Elements,
    /// Calls its function arguments with the elements of the others; gives back an iterator over what they return.
    Map,
    /// Calls its function arguments with the elements of the others; gives back an iterator over those elements.
    Filter,
    /// Gives back an element of its first argument, or the argument itself where several are given.
    Pick,
    /// Gives back its first argument.
    Same,
    /// Gives back an iterator over pairs of a number and an element of the first argument.
    Enumerate,
    /// Gives back an iterator over tuples of elements of its arguments, in their order.
    Zip,
    /// Reads the attribute of the first argument that the second names.
    GetAttribute,
    /// Writes the attribute of the first argument that the second names.
    SetAttribute,
    /// Gives back the receiver as an instance of the class above.
    Super,
    /// Gives back a text, a number or nothing.
    Text,
    /// Gives back a number.
    Number,
    /// Gives back nothing that is followed.
    Nothing,
    /// Gives back a new list of its arguments.
    ListOf,
    /// Gives back its first argument, a container, to which the others are added.
    Append,
    /// Of a container: adds its last argument.
    Add,
    /// Of a container: adds the elements of its argument.
    AddAll,
    /// Of a map: takes over the entries of its argument.
    Update,
    /// Of a map or list: reads the element that the first argument names, or gives back the second argument.
    Get,
    /// Of a map: as `Get`, and the second argument is written.
    GetOrSet,
    /// Of a container: gives back any element.
    Take,
    /// Of a container: an iterator over its elements.
    Values,
    /// Of a map: an iterator over its keys.
    Keys,
    /// Of a map: an iterator over pairs of key and element.
    Items,
    /// Of a container: a copy of it, elements and all.
    Copy,
    /// Of a container: calls its function arguments with the elements; gives back a new list of what they return.
    MapMethod,
    /// Of a container: calls its function arguments with the elements; gives back a new list of the elements.
    FilterMethod,
    /// Of a container: calls its function arguments with the elements; gives back one of the elements.
    FindMethod,
    /// Of a container: calls its function argument with an earlier result and an element; gives back the result.
    ReduceMethod,
    /// Of a promise: calls its function arguments with the value; gives back a promise of what they return.
    Then,
    /// Gives back a promise of its argument.
    Resolve,
    /// Gives back a promise of a list of the values of its argument's promises.
    ResolveAll,
    /// Of a function: calls it with the arguments behind the first, which is its receiver.
    CallMethod,
    /// Of a function: calls it with the elements of the second argument; the first is its receiver.
    ApplyMethod,
    /// Of a function: gives back the function, with a receiver.
    BindMethod,
    /// Gives back a new object whose prototype is the first argument.
    CreateObject,
    /// Takes the entries of the later arguments over into the first, which is given back.
    Assign,
    /// Sets the prototype of the first argument to the second.
    SetPrototype,
    /// Gives back a new map of the pairs in its first argument.
    NewMap,
    /// Lets the prototype of the first argument, a function, inherit from that of the second.
    Inherit,
    /// Calls its first argument with functions that settle the promise that is given back.
    NewPromise,
}
