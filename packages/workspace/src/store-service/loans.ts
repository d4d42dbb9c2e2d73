// Trees that were brought back from the store: while one lives, a collection keeps what it reaches,
// also when its snapshot is removed. Who compares or exports it needs its blocks until the end.

import type { Tree } from "@devdev/vfs";

export class Loans {
  readonly #hold: (root: Uint8Array) => Promise<void>;
  readonly #letGo: (root: Uint8Array) => Promise<void>;
  /** For trees that nobody disposed of. */
  readonly #forgotten = new FinalizationRegistry<Uint8Array>((root) => this.#back(root));

  constructor(
    hold: (root: Uint8Array) => Promise<void>,
    letGo: (root: Uint8Array) => Promise<void>,
  ) {
    this.#hold = hold;
    this.#letGo = letGo;
  }

  /** The tree that `load` brings, of this root. */
  async of(root: Uint8Array, load: () => Promise<Tree>): Promise<Tree> {
    await this.#hold(root);
    let tree: Tree;
    try {
      tree = await load();
    } catch (error) {
      this.#back(root);
      throw error;
    }
    const dispose = tree.dispose.bind(tree);
    let lent = true;
    tree.dispose = () => {
      dispose();
      if (lent) this.#back(root);
      lent = false;
      this.#forgotten.unregister(tree);
    };
    this.#forgotten.register(tree, root, tree);
    return tree;
  }

  #back(root: Uint8Array): void {
    // A store that has ended holds nothing any more.
    this.#letGo(root).catch(() => undefined);
  }
}
