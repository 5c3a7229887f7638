// Certificates of machines' accounts.

import { useQuery } from "@tanstack/react-query";
import { admin } from "./calls";
import { call, unwrap } from "./http";
import { keys } from "./keys";
import type { components } from "./schema.generated";
import type { Page, User } from "./types";

export type Certificate = Required<components["schemas"]["CertificateView"]>;
export type CertificateBody = components["schemas"]["CertificateDto"];

/** The profile of every machine; a person never holds it. */
export const MACHINE_PROFILE = "P24";

const of = (user: string): string => `/api/v1/users/${user}/certificates`;

export const machines = {
  certificates: (user: string) => call<Page<Certificate>>("GET", of(user)),
  note: (user: string, body: CertificateBody) => call<Certificate>("POST", of(user), { body }),
  revoke: (user: string, fingerprint: string) => call<void>("DELETE", `${of(user)}/${fingerprint}`),
};

/** Machines' accounts among those that the session administers. */
export const useMachines = () =>
  useQuery({
    queryKey: keys.users,
    queryFn: async () => unwrap(await admin.users()),
    select: (users: User[]) => users.filter((user) => user.profile === MACHINE_PROFILE),
  });

export const useCertificates = (user: string) =>
  useQuery({
    queryKey: [...keys.certificates, user],
    queryFn: async () => unwrap(await machines.certificates(user)).items,
  });
