import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

const noFetch = [
  { name: "fetch", message: "Only src/api talks to the server." },
  { name: "EventSource", message: "Only src/api talks to the server." },
  { name: "XMLHttpRequest", message: "Only src/api talks to the server." },
];

export default tseslint.config(
  { ignores: ["dist", "node_modules", "e2e/out", "openapi.json", "src/api/schema.generated.ts"] },
  ...tseslint.configs.recommended,
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { "react-hooks": reactHooks },
    languageOptions: { parserOptions: { project: "./tsconfig.app.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
      "max-lines": ["error", { max: 300 }],
      eqeqeq: "error",
      "no-console": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/api/**"],
    rules: { "no-restricted-globals": ["error", ...noFetch] },
  },
  {
    files: ["src/player/**", "src/domain/**"],
    rules: {
      "no-restricted-imports": [
        "error",
        { patterns: ["react", "react-*", "@tanstack/*", "i18next", "**/api/*", "**/components/*", "**/routes/*"] },
      ],
    },
  },
);
