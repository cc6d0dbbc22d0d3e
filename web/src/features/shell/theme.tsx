import { Monitor, Moon, Sun } from 'lucide-react';
import { useEffect } from 'react';
import { useStored } from '@/lib/stored';
import { IconButton } from '@/ui/button';

const THEMES = ['system', 'light', 'dark'] as const;
const SIGNS = { system: Monitor, light: Sun, dark: Moon } as const;
const NAMES = { system: 'as the system', light: 'light', dark: 'dark' } as const;

export function useTheme() {
  const [theme, setTheme] = useStored('theme', THEMES, 'system');
  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);
  return [theme, setTheme] as const;
}

/** Goes through the themes. */
export function ThemeMenu() {
  const [theme, setTheme] = useTheme();
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system';
  return (
    <IconButton
      icon={SIGNS[theme]}
      label={`Theme: ${NAMES[theme]}`}
      onPress={() => setTheme(next)}
    />
  );
}
