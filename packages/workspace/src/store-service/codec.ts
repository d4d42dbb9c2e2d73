// The engine's knowledge of stored objects, as the store asks for it.

import type { ObjectCodec } from "@devdev/store";
import { pageReferences, verifyBlock, verifyPage } from "@devdev/vfs";

export const engineCodec: ObjectCodec = {
  references: (page) => pageReferences(page),
  verifyPage: (id, page) => verifyPage({ id, ...page }),
  verifyBlock: (id, block) => verifyBlock({ id, ...block }),
};
