//! What a function sees in `open`: its parameters, and the place where it declares states and
//! outputs.
//!
//! `open` runs in two situations. To *describe* the function the SDK runs it with every parameter
//! at its default and records what it asks for; to *open* an instance it runs it again with the
//! job's parameters. A handle is the index of its declaration, so both runs must declare the same
//! things in the same order; the runtime compares them and refuses to open an instance that does
//! not.

use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::tidegate::function::declarations::{
    Format, OperatorStateDeclaration, OutputDeclaration, ParameterDeclaration, StateDeclaration,
};
use crate::codec::Encode;
use crate::context::SideOutput;
use crate::error::{Error, Result};
use crate::param::{self, Param};
use crate::state::{
    AggregateFunction, AggregatingState, BroadcastState, Lifetime, ListState, MapState, Migrations,
    OperatorListState, RawOperatorState, ReducingState, StateBuilder, StateValue, ValueState,
};

/// The name of the main output in job files.
const MAIN_OUTPUT: &str = "main";

/// The parameters of a function, and the declaration of its states and outputs.
///
/// `open` must declare the same states and outputs whatever the parameters are.
pub struct Setup {
    /// None while describing.
    place: Option<OpenContext>,
    pub(crate) parameters: Vec<ParameterDeclaration>,
    pub(crate) outputs: Vec<OutputDeclaration>,
    pub(crate) states: Vec<StateDeclaration>,
    pub(crate) operator_states: Vec<OperatorStateDeclaration>,
    /// Of keyed and of operator states, those that have any.
    pub(crate) migrations: Vec<Migrations>,
    /// The first thing that is wrong with the declaration. Kept, since handles are made without
    /// `?`.
    problem: Option<Error>,
}

impl Setup {
    pub(crate) fn new(place: Option<OpenContext>, main_output: Option<Format>) -> Self {
        let main = |format| OutputDeclaration { name: MAIN_OUTPUT.to_owned(), format };
        Self {
            place,
            parameters: Vec::new(),
            outputs: main_output.map(main).into_iter().collect(),
            states: Vec::new(),
            operator_states: Vec::new(),
            migrations: Vec::new(),
            problem: None,
        }
    }

    /// The value of parameter `name`, or `default` where the job file is silent.
    ///
    /// # Errors
    /// If the text in the job file is not a `T`.
    pub fn param<T: Param>(&mut self, name: &str, default: T) -> Result<T> {
        self.declare_parameter::<T>(name, Some(default.to_text()));
        self.set_value(name).map_or(Ok(default), |text| param::parse(name, text))
    }

    /// The value of parameter `name`, which the job file must give.
    ///
    /// While the function is being described there is no job file and this is `T::default()`: use
    /// [`is_describing`](Setup::is_describing) if that cannot pass a check.
    ///
    /// # Errors
    /// If the job file does not give it, or the text is not a `T`.
    pub fn required_param<T: Param + Default>(&mut self, name: &str) -> Result<T> {
        self.declare_parameter::<T>(name, None);
        match self.set_value(name) {
            Some(text) => param::parse(name, text),
            None if self.is_describing() => Ok(T::default()),
            None => Err(Error::msg(format_args!(
                "parameter `{name}` ({}) is required; write {}",
                T::TYPE_NAME,
                T::FORMS
            ))),
        }
    }

    /// State that holds one value a key.
    pub fn value_state<T: StateValue>(&mut self, name: &str) -> ValueState<T> {
        self.state(name).value()
    }

    /// State that holds a list a key.
    pub fn list_state<T: StateValue>(&mut self, name: &str) -> ListState<T> {
        self.state(name).list()
    }

    /// State that holds a map a key.
    pub fn map_state<K: StateValue, V: StateValue>(&mut self, name: &str) -> MapState<K, V> {
        self.state(name).map()
    }

    /// State that holds all values added to a key, reduced to one by `reduce`.
    pub fn reducing_state<T: StateValue>(
        &mut self,
        name: &str,
        reduce: impl Fn(T, T) -> T + 'static,
    ) -> ReducingState<T> {
        self.state(name).reducing(reduce)
    }

    /// State that holds the accumulator of all values added to a key.
    pub fn aggregating_state<A: AggregateFunction>(
        &mut self,
        name: &str,
        function: A,
    ) -> AggregatingState<A> {
        self.state(name).aggregating(function)
    }

    /// A list of the partition, whatever the key, dealt out anew when the parallelism changes. See
    /// [`StateBuilder::operator_list`].
    pub fn operator_list_state<T: StateValue>(&mut self, name: &str) -> OperatorListState<T> {
        self.state(name).operator_list()
    }

    /// A list of the partition of which all partitions get the elements of all when the job is
    /// restored. See [`StateBuilder::union_list`].
    pub fn union_list_state<T: StateValue>(&mut self, name: &str) -> OperatorListState<T> {
        self.state(name).union_list()
    }

    /// Byte strings of the partition. See [`StateBuilder::raw_operator`].
    pub fn raw_operator_state(&mut self, name: &str) -> RawOperatorState {
        self.state(name).raw_operator()
    }

    /// A map that the broadcast input writes and that is the same in all partitions. Only for a
    /// [`BroadcastProcessFunction`](crate::BroadcastProcessFunction) or a
    /// [`KeyedBroadcastProcessFunction`](crate::KeyedBroadcastProcessFunction).
    pub fn broadcast_state<K: StateValue, V: StateValue>(
        &mut self,
        name: &str,
    ) -> BroadcastState<K, V> {
        self.state(name).broadcast()
    }

    /// Begins the declaration of a state that needs more than a name:
    /// `setup.state("profile").schema_version(2).migrate(1, …).value()`.
    pub fn state(&mut self, name: &str) -> StateBuilder<'_> {
        StateBuilder::new(self, name)
    }

    /// Declares a further output, which job files name as `operator.name`.
    pub fn side_output<T: Encode>(&mut self, name: &str) -> SideOutput<T> {
        SideOutput::new(self.declare_output(name, T::FORMAT))
    }

    /// The operator's id in the job file; empty while describing.
    pub fn operator(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.operator)
    }

    /// The index of this partition, from 0.
    pub fn partition(&self) -> u32 {
        self.place.as_ref().map_or(0, |place| place.partition)
    }

    /// How many partitions the operator has.
    pub fn parallelism(&self) -> u32 {
        self.place.as_ref().map_or(1, |place| place.parallelism)
    }

    /// Whether the function is only being described: every parameter has its default, and the
    /// instance processes nothing. Checks that defaults cannot pass are to be skipped then.
    pub fn is_describing(&self) -> bool {
        self.place.is_none()
    }

    /// Adds a state and returns its index, and how long it lives in this job.
    pub(crate) fn declare_state(&mut self, state: StateDeclaration) -> (u32, Lifetime) {
        self.check_state_name(&state.name);
        let index = self.states.len();
        let ttl = match &self.place {
            None => state.ttl,
            Some(place) => place.ttl.get(index).copied().flatten(),
        };
        self.states.push(state);
        (index as u32, Lifetime::new(ttl))
    }

    /// Adds an operator state and returns its index.
    pub(crate) fn declare_operator_state(&mut self, state: OperatorStateDeclaration) -> u32 {
        self.check_state_name(&state.name);
        self.operator_states.push(state);
        self.operator_states.len() as u32 - 1
    }

    fn check_state_name(&mut self, name: &str) {
        let mut keyed = self.states.iter().map(|state| &state.name);
        let mut of_operator = self.operator_states.iter().map(|state| &state.name);
        if keyed.any(|other| other == name) || of_operator.any(|other| other == name) {
            self.complain(format_args!("state `{name}` is declared twice"));
        }
    }

    /// Adds an output and returns its index.
    pub(crate) fn declare_output(&mut self, name: &str, format: Format) -> usize {
        if self.outputs.iter().any(|output| output.name == name) {
            self.complain(format_args!("output `{name}` is declared twice"));
        }
        self.outputs.push(OutputDeclaration { name: name.to_owned(), format });
        self.outputs.len() - 1
    }

    /// The first thing that is wrong with the declaration.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.problem.take().map_or(Ok(()), Err)
    }

    fn declare_parameter<T: Param>(&mut self, name: &str, default: Option<String>) {
        if self.parameters.iter().any(|parameter| parameter.name == name) {
            self.complain(format_args!("parameter `{name}` is declared twice"));
        }
        let type_name = T::TYPE_NAME.to_owned();
        self.parameters.push(ParameterDeclaration { name: name.to_owned(), type_name, default });
    }

    fn set_value(&self, name: &str) -> Option<&str> {
        let parameters = &self.place.as_ref()?.parameters;
        parameters.iter().find(|(set, _)| set == name).map(|(_, text)| text.as_str())
    }

    pub(crate) fn complain(&mut self, problem: std::fmt::Arguments<'_>) {
        self.problem.get_or_insert_with(|| Error::msg(problem));
    }
}
