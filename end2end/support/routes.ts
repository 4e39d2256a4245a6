// Every page that the navigation links, and one of each kind behind it.
import { rest, system } from "./system";

export const PAGES: { name: string; path: () => Promise<string>; heading: RegExp }[] = [
  { name: "overview", path: async () => "/", heading: /overview/i },
  { name: "devices", path: async () => "/devices", heading: /devices/i },
  { name: "devices-none-match", path: async () => "/devices?q=type:nothing-of-this-kind", heading: /devices/i },
  { name: "device", path: async () => `/devices/${await aDevice()}`, heading: /.+/ },
  { name: "device-telemetry", path: async () => `/devices/${await aDevice()}/telemetry`, heading: /.+/ },
  { name: "device-firmware", path: async () => `/devices/${await aDevice()}/firmware`, heading: /.+/ },
  { name: "device-certificates", path: async () => `/devices/${await aDevice()}/certificates`, heading: /.+/ },
  { name: "device-connections", path: async () => `/devices/${await aDevice()}/connections`, heading: /.+/ },
  { name: "device-activity", path: async () => `/devices/${await aDevice()}/activity`, heading: /.+/ },
  { name: "groups", path: async () => "/groups", heading: /^Groups$/ },
  { name: "firmware", path: async () => "/firmware", heading: /firmware/i },
  { name: "release", path: async () => `/firmware/${await aRelease()}`, heading: /1\.1\.0/ },
  { name: "release-compare", path: async () => `/firmware/compare?after=${await aRelease()}`, heading: /compare releases|1\.1\.0 against/i },
  { name: "rollouts", path: async () => "/rollouts", heading: /rollouts/i },
  { name: "rollout", path: async () => `/rollouts/${system().rollout}`, heading: /.+/ },
  { name: "rollout-new", path: async () => "/rollouts/new", heading: /rollout/i },
  { name: "freezes", path: async () => "/freezes", heading: /^Freezes$/ },
  { name: "approvals", path: async () => "/approvals", heading: /approvals/i },
  { name: "approvals-waiting", path: async () => "/approvals?tab=waiting", heading: /approvals/i },
  { name: "approvals-mine", path: async () => "/approvals?tab=mine", heading: /approvals/i },
  { name: "approvals-done", path: async () => "/approvals?tab=done", heading: /approvals/i },
  { name: "approvals-void", path: async () => "/approvals?tab=void", heading: /approvals/i },
  { name: "enrolment", path: async () => "/enrolment", heading: /^Add devices$/ },
  { name: "certificates", path: async () => "/certificates", heading: /certificates/i },
  { name: "certificates-none-match", path: async () => "/certificates?q=nothing-of-this-kind&within=30", heading: /certificates/i },
  { name: "certificates-revoked", path: async () => "/certificates?state=revoked&sort=-revoked", heading: /certificates/i },
  { name: "certificate", path: async () => `/certificates/${await aCertificate()}`, heading: /certificate of/i },
  { name: "enrolment-factory", path: async () => "/enrolment?tab=factory", heading: /^Add devices$/ },
  { name: "enrolment-claim", path: async () => "/enrolment?tab=claim", heading: /^Add devices$/ },
  { name: "enrolment-own", path: async () => "/enrolment?tab=own", heading: /^Add devices$/ },
  { name: "enrolment-hawkbit", path: async () => "/enrolment?tab=hawkbit", heading: /^Add devices$/ },
  { name: "enrolment-import", path: async () => "/enrolment?tab=import", heading: /^Add devices$/ },
  { name: "authorities", path: async () => "/certificates/authorities", heading: /authorities/i },
  { name: "authority-requests", path: async () => "/certificates/authorities/requests", heading: /requests about authorities/i },
  { name: "authorities-elsewhere", path: async () => "/certificates/authorities/elsewhere", heading: /^Signed elsewhere$/ },
  { name: "authority", path: async () => `/certificates/authorities/${await anAuthority()}`, heading: /.+/ },
  { name: "certificates-renew", path: async () => "/certificates/renew", heading: /^Ask devices to renew their certificates$/ },
  { name: "certificate-rules", path: async () => "/certificates/rules", heading: /^Certificate rules$/ },
  { name: "people", path: async () => "/people", heading: /people/i },
  { name: "audit", path: async () => "/audit", heading: /audit/i },
  { name: "account", path: async () => "/account", heading: /.+/ },
];

/** The wizard's steps, each with a plan that is begun. */
export const STEPS = ["firmware", "devices", "stages", "gates", "review"].map((step) => ({
  name: `rollout-new-${step}`,
  path: async () => `/rollouts/new?step=${step}&name=Gateway&release=${await aRelease()}`,
  heading: /rollout/i,
}));

const aDevice = async () => (await rest("GET", "/devices?rows=1")).items[0].device_id as string;
const anAuthority = async () => ((await rest("GET", "/authorities")).items as { id: string; kind: string }[]).find((one) => one.kind === "device")!.id;
const aCertificate = async () => (await rest("GET", "/certificates?rows=1")).items[0].id as string;
/** The one that the demonstration brought. */
export const aRelease = async () => {
  const releases = (await rest("GET", "/releases")).items as { id: string; version: string }[];
  return releases.find((release) => release.version === "1.1.0")!.id;
};
