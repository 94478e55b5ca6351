// Reads an AsyncAPI document from standard input. Prints what its parser finds wrong, and then exits with 1.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

const WORDS = ["error", "warning"];

async function main() {
  const { document, diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
  // That there is a newer version of AsyncAPI, say, is only information.
  const found = diagnostics.filter(({ severity }) => severity < WORDS.length);
  for (const { severity, code, path, message } of found) {
    console.error(`${WORDS[severity]} ${code} at ${path.join(".")}: ${message}`);
  }
  if (found.length > 0 || document === undefined) process.exit(1);
  const { length } = document.allMessages();
  if (length === 0) throw new Error("the document has no messages");
  console.log(`Valid: ${length} messages`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
