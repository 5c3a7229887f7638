import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { MapPinOff } from "lucide-react";
import { useState } from "react";
import { Empty } from "../components/ui";
import { CheatSheet } from "./CheatSheet";
import { Header } from "./Header";
import { allowedPages } from "./pages";
import { useSession } from "./sessionContext";
import { useKeys } from "./useKeys";
import { useWords } from "./useWords";

export function Shell() {
  const { t } = useWords();
  const session = useSession();
  const navigate = useNavigate();
  const [help, setHelp] = useState(false);
  const pages = allowedPages(session.rights);
  useKeys((key, event) => {
    if (key === "?") {
      setHelp(true);
      return true;
    }
    if (event.altKey && /^F([1-9])$/.test(key)) {
      const page = pages[Number(key.slice(1)) - 1];
      if (page !== undefined) void navigate({ to: page.path });
      return true;
    }
    return false;
  });
  return (
    <div className="grid h-full grid-cols-[104px_1fr] grid-rows-[46px_1fr]">
      <a
        href="#main"
        className="absolute top-1 left-1 z-50 -translate-y-20 rounded bg-accent px-3 py-1 text-[#04121c] focus:translate-y-0"
      >
        {t("shell.skip")}
      </a>
      <Header onHelp={() => setHelp(true)} />
      <nav aria-label={t("shell.pages")} className="overflow-y-auto border-r border-line bg-panel">
        <ul>
          {pages.map(({ path, key, icon: Icon }) => (
            <li key={path}>
              <Link
                to={path}
                className="flex flex-col items-center gap-1 border-l-[3px] border-transparent px-1 py-2.5 text-[11.5px] text-muted hover:bg-raised hover:text-text"
                activeProps={{ className: "!border-accent !text-text bg-raised", "aria-current": "page" }}
              >
                <Icon size={19} aria-hidden />
                <span className="max-w-full text-center leading-tight hyphens-auto">{t(`page.${key}`)}</span>
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" tabIndex={-1} className="min-h-0 min-w-0 overflow-hidden outline-none">
        <Outlet />
      </main>
      <CheatSheet open={help} onClose={() => setHelp(false)} />
    </div>
  );
}

export function NothingHere() {
  const { t } = useWords();
  return <Empty icon={MapPinOff}>{t("shell.nothing")}</Empty>;
}
