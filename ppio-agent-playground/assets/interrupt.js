// An interrupt of an agent as a form: a field for each property of its JSON Schema, or two buttons.

/** Returns the view of an interrupt. `respond(part)` is called after `part.response` is set. */
function interruptView(part, respond) {
  const schema = part.schema ? simplified(part.schema) : undefined;
  const field = isApproval(schema)
    ? undefined
    : control(hasForm(schema) && schema.type === 'object' ? '' : 'response', { ...schema, title: undefined }, true);
  const body = element('div', { className: 'interrupt-body' }, field?.node);
  const buttons = element('div', { className: 'buttons' });
  const node = element(
    'form',
    { className: 'interrupt', 'aria-label': part.message || part.reason, onsubmit: submit },
    element('strong', {}, part.message || part.reason),
    ...(part.message ? [element('span', { className: 'kind' }, part.reason)] : []),
    buttons,
  );
  const end = (response) => {
    part.response = response;
    show(false);
    respond(part);
  };
  function submit(event) {
    event.preventDefault();
    if (!field) return;
    const { text, problem, problems = [] } = field.read();
    if (problem) problems.push({ field, problem });
    for (const each of problems) each.field.showProblem?.(each.problem);
    if (problems.length) {
      problems[0].field.focus();
      announce(problems[0].problem);
    } else {
      end({ status: 'resolved', payload: text ?? 'null', text: short(text ?? 'null') });
    }
  }
  const decide = (approved) => () => {
    // Without a schema the agent reads the status alone.
    const payload = `{"approved":${approved}}`;
    const status = approved || schema ? 'resolved' : 'cancelled';
    end({ status, payload: status === 'resolved' ? payload : 'null', text: approved ? 'Approved' : 'Declined' });
  };
  const button = (className, text, onclick) =>
    element('button', { className, type: 'button', onclick }, text);
  const open = field
    ? [
        element('button', { className: 'primary', type: 'submit' }, 'Submit'),
        button('quiet', 'Decline', () => end({ status: 'cancelled', payload: 'null', text: 'Declined' })),
      ]
    : [button('primary', 'Approve', decide(true)), button('danger', 'Decline', decide(false))];
  let isOpen;
  function show(opened) {
    opened &&= !part.response;
    if (opened === isOpen) return;
    isOpen = opened;
    if (opened) buttons.before(body);
    else body.remove();
    buttons.replaceChildren(
      ...(opened ? open : [note(part.response ? part.response.text : 'Not responded to.')]),
    );
  }
  show(false);
  return { node, setOpen: show };
}

/** Whether a response is a mere yes or no: there is no schema, or only a boolean `approved`. */
function isApproval(schema) {
  if (!schema) return true;
  const names = Object.keys(schema.properties ?? {});
  return (
    schema.type === 'object' &&
    names.length === 1 &&
    names[0] === 'approved' &&
    simplified(schema.properties.approved).type === 'boolean'
  );
}
