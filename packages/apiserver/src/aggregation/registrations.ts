import type { Registrations } from '../discovery/registrations.ts';
import type { ExtensionDocuments } from './extension-documents.ts';
import type { RegisteredServices } from './registered-services.ts';

/** What discovery says of the stored APIServices. */
export function registrationsOf(services: RegisteredServices, documents: ExtensionDocuments): Registrations {
  return () =>
    [...services.list()].map((service) => {
      const { group, version, groupPriority, versionPriority, isAvailable } = service;
      const place = { group, version, groupPriority, versionPriority };
      if (services.elsewhere(group, version) === undefined) return place;
      const document = documents.of(service);
      return { ...place, elsewhere: { resources: document?.resources ?? [], isFresh: isAvailable && document?.isFresh === true } };
    });
}
