"""Checks Kubernetes manifests against their schemas: validate.py FILE…

Prints a line for each document other than a Kustomization. At the first invalid document, prints
the reason and exits with 1. The schemas of Kubernetes itself come from the package
`kubernetes-validate`; the schema of a `Sandbox` of `agents.x-k8s.io` is next to this file.
"""

import json
import sys
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

# The first release whose `preStop` hook can sleep without a program in the image, and the newest
# known release.
RELEASES = ["1.30", "1.37"]
SANDBOX = json.loads((Path(__file__).parent / "sandbox.schema.json").read_text())


def check(document):
    if document["kind"] == "Sandbox":
        jsonschema.Draft202012Validator.check_schema(SANDBOX)
        jsonschema.validate(document, SANDBOX)
        pod = document["spec"]["podTemplate"]["spec"]
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sandbox"}, "spec": pod}
    for release in RELEASES:
        kubernetes_validate.validate(document, release, strict=True)


for name in sys.argv[1:]:
    for document in yaml.safe_load_all(Path(name).read_text()):
        if document["kind"] == "Kustomization":
            continue
        try:
            check(document)
        except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
            place = ".".join(str(part) for part in error.absolute_path)
            sys.exit(f"{name}: {document['kind']}: at {place or 'the top'}: {error.message}")
        print(f"{document['kind']} {document['metadata']['name']}")
