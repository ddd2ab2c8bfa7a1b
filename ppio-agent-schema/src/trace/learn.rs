//! Updates the traced type from a value that was refused.

use std::borrow::Cow;

use super::pass::{Pass, PassGoal};
use super::refused::Refused;
use super::traced_type::{TEXTS, TracedField, TracedObject, TracedType, TracedVariant, TypeKind};

/// The last attempt at a value of unknown kind, see `Tracer::deserialize_any`.
const EMPTY_MAP: usize = 5;

impl TracedType {
    /// Records that the sample value for this type was refused.
    pub(super) fn refuse(&mut self, pass: &Pass<'_>, refused: Refused) -> Refused {
        if pass.goal == PassGoal::Required || self.is_refused || matches!(refused, Refused::Noted) {
            return Refused::Noted;
        }
        // serde reads the variant of an internally tagged enum after the map with its fields.
        if let TypeKind::Tagged { variants, .. } = &mut self.kind
            && let Some(last) = variants
                .iter_mut()
                .rfind(|variant| variant.explored.is_some())
            && !last.is_refused
        {
            match last.body.learn(refused, None, pass) {
                Refused::Noted => last.explored = None,
                _ => last.is_refused = true,
            }
            return Refused::Noted;
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
        Refused::Noted
    }
}

impl TracedObject {
    /// Records why the whole object was refused. `offered` is the field that was offered last.
    pub(super) fn learn(
        &mut self,
        refused: Refused,
        offered: Option<usize>,
        pass: &Pass<'_>,
    ) -> Refused {
        match (refused, offered) {
            (Refused::Noted, _) => Refused::Noted,
            (Refused::Missing(name), _) => self.miss(name, pass),
            (Refused::UnknownVariant(names), Some(offered)) => Refused::Tag(offered, names),
            // serde lists a field's other names besides its own.
            (Refused::Duplicate, Some(offered)) => {
                self.fields.remove(offered);
                pass.learned.set(true);
                Refused::Noted
            }
            // Values for a flattened field or a tagged variant are refused after all were offered;
            // those before the last were accepted in earlier passes.
            _ => match self.fields.last_mut() {
                Some(last) if !last.traced.is_refused => last.traced.refuse(pass, Refused::Other),
                _ => Refused::Other,
            },
        }
    }

    /// Records that the object requires a field.
    fn miss(&mut self, name: &'static str, pass: &Pass<'_>) -> Refused {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == name) {
            field.is_required = true;
            return Refused::Other;
        }
        if pass.goal == PassGoal::Required {
            return Refused::Noted;
        }
        // The field may belong to the empty map that was offered for the last field.
        if let Some(TracedField { traced, .. }) = self.fields.last_mut()
            && matches!(traced.kind, TypeKind::Any)
            && traced.attempt == EMPTY_MAP
            && !traced.is_refused
        {
            return traced.refuse(pass, Refused::Other);
        }
        let mut field = TracedField::new(Cow::Borrowed(name));
        field.is_required = true;
        self.fields.push(field);
        pass.learned.set(true);
        Refused::Noted
    }
}

impl<B> TracedVariant<B> {
    /// Runs `inner` over the first variant that is not fully explored, until a pass over it shows
    /// nothing new.
    pub(super) fn explore<R>(
        variants: &mut [Self],
        pass: &Pass<'_>,
        inner: impl FnOnce(&mut Self) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let next = variants
            .iter()
            .position(|variant| variant.explored < Some(pass.goal));
        let Some(next) = next else {
            let accepted = variants.iter_mut().find(|variant| !variant.is_refused);
            return inner(accepted.ok_or(Refused::Other)?);
        };
        let variant = &mut variants[next];
        // If a field was left out before, no field of this variant is left out.
        let is_blocked = pass.left_out.get();
        pass.learned.set(false);
        let result = inner(variant);
        if !pass.learned.get() && !is_blocked {
            variant.explored = Some(pass.goal);
            variant.is_refused = result.is_err();
        }
        pass.learned.set(true);
        result.map_err(|_| Refused::Noted)
    }
}
