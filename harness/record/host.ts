import type { HostRecord, RunRecord, VariantRecord } from './record.js';

/** The hosts that had machines, as far as they are known. */
export function hostsOf({ host, hosts, mergedFrom = [] }: RunRecord): readonly HostRecord[] {
  if (host !== undefined) return [host];
  return hosts ?? mergedFrom.flatMap((shard) => shard.host ?? []);
}

/** The host that had the machine of a variant; undefined when nobody knows. */
export function hostOf(record: RunRecord, { connect }: VariantRecord): HostRecord | undefined {
  return record.host ?? record.hosts?.find((each) => each.connect === connect);
}
