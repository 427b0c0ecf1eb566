//! A plan with other versions of its functions: those that a checkpoint belongs to, or that came by
//! a swap.

use super::plan::{OperatorPlan, Partitioning, Plan, Upstream};
use crate::error::{Error, Result};
use crate::model::{StateDeclaration, Ttl};
use crate::wasm::Component;
use crate::wasm::compatibility::{Comparison, Usage, compare};

impl Plan {
    /// The plan with another function for the operator of this index.
    ///
    /// # Errors
    /// If the job reads an output that the function lacks.
    pub fn with_function(&self, operator: usize, component: Component) -> Result<Self> {
        let mut plan = self.clone();
        let had = self.operators[operator].component.declaration();
        let has = component.declaration();
        let move_over = |from: &mut Upstream| -> Result<()> {
            if let Upstream::Operator(of, output) = from
                && *of == operator
            {
                let name = &had.outputs[*output].name;
                let found = has.outputs.iter().position(|one| one.name == *name);
                *output = found.ok_or_else(|| lacks(&self.operators[operator].id, name))?;
            }
            Ok(())
        };
        for input in plan.operators.iter_mut().flat_map(|operator| &mut operator.inputs) {
            move_over(&mut input.from)?;
            if let Upstream::Operator(of, output) = input.from
                && of == operator
            {
                input.format = has.outputs[output].format;
            }
        }
        for sink in &mut plan.sinks {
            move_over(&mut sink.from)?;
        }
        let of = &mut plan.operators[operator];
        of.ttl = ttl(&of.ttl_written, &has.states);
        of.component = component;
        Ok(plan)
    }

    /// How the operator of this index would do with another function.
    pub fn compare_function(&self, operator: usize, component: &Component) -> Comparison {
        let of = &self.operators[operator];
        let declared = &of.component.declaration().outputs;
        let inputs = self.operators.iter().flat_map(|operator| &operator.inputs);
        let reads = inputs.map(|input| input.from).chain(self.sinks.iter().map(|sink| sink.from));
        let output = |from: Upstream| match from {
            Upstream::Operator(index, output) if index == operator => {
                Some(declared[output].name.as_str())
            }
            _ => None,
        };
        let by_function =
            |input: &super::plan::InputPlan| input.partition == Partitioning::KeyByFunction;
        let ttl_after = ttl(&of.ttl_written, &component.declaration().states);
        let usage = Usage {
            outputs_read: reads.filter_map(output).collect(),
            params: of.params.iter().map(|(name, _)| name.as_str()).collect(),
            extracts_keys: of.inputs.iter().any(by_function),
            ttl_before: &of.ttl,
            ttl_after: &ttl_after,
        };
        compare(&of.component, component, &usage)
    }
}

impl OperatorPlan {
    /// The parameters of the job file that its function declares.
    pub fn params_declared(&self) -> Vec<(String, String)> {
        let declared = &self.component.declaration().parameters;
        let is_declared = |name: &str| declared.iter().any(|parameter| parameter.name == name);
        self.params.iter().filter(|(name, _)| is_declared(name)).cloned().collect()
    }
}

/// How long each declared state lives: as the job file says, or as declared.
pub fn ttl(written: &[(String, Option<Ttl>)], declared: &[StateDeclaration]) -> Vec<Option<Ttl>> {
    let of = |state: &StateDeclaration| {
        let written = written.iter().find(|(name, _)| *name == state.name);
        written.map_or(state.ttl, |(_, ttl)| *ttl)
    };
    declared.iter().map(of).collect()
}

fn lacks(operator: &str, output: &str) -> Error {
    let message = format!(
        "the job reads output {output:?} of operator {operator:?}, which the version of its \
         function lacks that the checkpoint belongs to"
    );
    Error::input(message).hint("restore with the job file that the job had, then change it")
}
