//! What is learned from a value that was refused.

use std::borrow::Cow;

use super::pass::{Pass, PassGoal};
use super::refused_value::RefusedValue;
use super::traced_type::{TEXTS, TracedField, TracedObject, TracedType, TracedVariant, TypeKind};

/// The last attempt at a value of unknown kind, see `Tracer::deserialize_any`.
const EMPTY_MAP: usize = 5;

impl TracedType {
    /// Learns that the value made up for this was refused.
    pub(super) fn refuse(&mut self, pass: &Pass<'_>, refused: RefusedValue) -> RefusedValue {
        if pass.goal == PassGoal::Required
            || self.is_refused
            || matches!(refused, RefusedValue::Noted)
        {
            return RefusedValue::Noted;
        }
        // serde reads the variant of an internally tagged enum after the map with its fields.
        if let TypeKind::Tagged { variants, .. } = &mut self.kind
            && let Some(last) = variants
                .iter_mut()
                .rfind(|variant| variant.explored.is_some())
            && !last.is_refused
        {
            match last.body.learn(refused, None, pass) {
                RefusedValue::Noted => last.explored = None,
                _ => last.is_refused = true,
            }
            return RefusedValue::Noted;
        }
        let attempts = match self.kind {
            TypeKind::Any => EMPTY_MAP + 1,
            TypeKind::Text => TEXTS.len(),
            // Some types refuse zero.
            TypeKind::Integer(_) | TypeKind::Number => 2,
            _ => 1,
        };
        self.attempt += 1;
        if self.attempt == attempts {
            self.attempt = 0;
            self.is_refused = true;
        }
        pass.learned.set(true);
        RefusedValue::Noted
    }
}

impl TracedObject {
    /// Learns why the whole object was refused. `offered` is the field that was offered last.
    pub(super) fn learn(
        &mut self,
        refused: RefusedValue,
        offered: Option<usize>,
        pass: &Pass<'_>,
    ) -> RefusedValue {
        match (refused, offered) {
            (RefusedValue::Noted, _) => RefusedValue::Noted,
            (RefusedValue::Missing(name), _) => self.miss(name, pass),
            (RefusedValue::UnknownVariant(names), Some(offered)) => {
                RefusedValue::Tag(offered, names)
            }
            // serde lists a field's other names beside it.
            (RefusedValue::Duplicate, Some(offered)) => {
                self.fields.remove(offered);
                pass.learned.set(true);
                RefusedValue::Noted
            }
            // Values for a flattened field or a tagged variant are refused after all were offered;
            // those before the last were accepted in earlier passes.
            _ => match self.fields.last_mut() {
                Some(last) if !last.traced.is_refused => {
                    last.traced.refuse(pass, RefusedValue::Other)
                }
                _ => RefusedValue::Other,
            },
        }
    }

    /// Learns that the object cannot be without a field.
    fn miss(&mut self, name: &'static str, pass: &Pass<'_>) -> RefusedValue {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == name) {
            field.is_required = true;
            return RefusedValue::Other;
        }
        if pass.goal == PassGoal::Required {
            return RefusedValue::Noted;
        }
        // It may be a field of the empty map that was made up for the last field.
        if let Some(TracedField { traced, .. }) = self.fields.last_mut()
            && matches!(traced.kind, TypeKind::Any)
            && traced.attempt == EMPTY_MAP
            && !traced.is_refused
        {
            return traced.refuse(pass, RefusedValue::Other);
        }
        let mut field = TracedField::new(Cow::Borrowed(name));
        field.is_required = true;
        self.fields.push(field);
        pass.learned.set(true);
        RefusedValue::Noted
    }
}

impl<B> TracedVariant<B> {
    /// Runs `inner` over the variant whose turn it is, until a pass over it shows nothing new.
    pub(super) fn explore<R>(
        variants: &mut [Self],
        pass: &Pass<'_>,
        inner: impl FnOnce(&mut Self) -> Result<R, RefusedValue>,
    ) -> Result<R, RefusedValue> {
        let next = variants
            .iter()
            .position(|variant| variant.explored < Some(pass.goal));
        let Some(next) = next else {
            let accepted = variants.iter_mut().find(|variant| !variant.is_refused);
            return inner(accepted.ok_or(RefusedValue::Other)?);
        };
        let variant = &mut variants[next];
        // Where a field was left out before, this variant's are not.
        let is_blocked = pass.left_out.get();
        pass.learned.set(false);
        let result = inner(variant);
        if !pass.learned.get() && !is_blocked {
            variant.explored = Some(pass.goal);
            variant.is_refused = result.is_err();
        }
        pass.learned.set(true);
        result.map_err(|_| RefusedValue::Noted)
    }
}
