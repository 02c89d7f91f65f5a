// Run by mongosh from compose.yaml: makes the replica set and the program's user, unless they are there.
const root = encodeURIComponent(process.env.ROOT_PASSWORD);
const admin = connect(`mongodb://root:${root}@mongodb:27017/admin?directConnection=true`);

const state = admin.adminCommand({ replSetGetStatus: 1 });
if (!state.ok && state.codeName === "NotYetInitialized") {
  const made = admin.adminCommand({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host: "mongodb:27017" }] } });
  if (!made.ok) throw new Error(made.errmsg);
} else if (!state.ok) {
  throw new Error(state.errmsg);
}
while (!admin.hello().isWritablePrimary) sleep(200);

const haisu = admin.getSiblingDB("haisu");
const account = { pwd: process.env.HAISU_PASSWORD, roles: [{ role: "readWrite", db: "haisu" }] };
if (haisu.getUser("haisu") === null) haisu.createUser({ user: "haisu", ...account });
else haisu.updateUser("haisu", account);
