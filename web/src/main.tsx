import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ApiError } from "./api/http";
import { App } from "./app/App";
import { startSettings } from "./app/settings";
import { startTrusted } from "./app/trusted";
import { startI18n } from "./i18n";
import "./styles.css";

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // A refusal is an answer; only a missing answer or a passing trouble is asked for again.
      retry: (count, error) =>
        count < 2 && error instanceof ApiError && (error.problem.status === 0 || error.problem.status >= 500),
      refetchOnWindowFocus: false,
    },
  },
});

async function start(): Promise<void> {
  startTrusted();
  startSettings();
  await startI18n();
  const root = document.getElementById("root");
  if (root === null) return;
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  );
}

void start();
