//go:build bug_trust_payload

package journal

const seeded = bugTrustPayload
