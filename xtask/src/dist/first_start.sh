# Starts the app on the display at hand, and waits until its window shows a picture worth the name.
set -eu
cd "$HOME"
patience_s=90
colours_at_least=32

longtake-app >/artifacts/app.log 2>&1 &
app=$!
trap 'kill "$app" 2>/dev/null || :; wait "$app" 2>/dev/null || :; cat /artifacts/app.log' EXIT

for second in $(seq "$patience_s"); do
  kill -0 "$app" || { echo "the app ended by itself"; exit 1; }
  if xwininfo -name Longtake >/artifacts/window.txt 2>/dev/null &&
    xwd -silent -name Longtake -out /tmp/window.xwd; then
    # The pixels are four bytes each, behind a header that adds a few colours of its own.
    colours=$(tail -c 2000000 /tmp/window.xwd | od -An -v -w4 -tx4 | sort -u | wc -l)
    if [ "$colours" -ge "$colours_at_least" ]; then
      echo "after $second s the window shows a picture of $colours colours"
      scrot --overwrite /artifacts/window.png
      exit 0
    fi
  fi
  sleep 1
done
echo "the app has shown no window with a picture within $patience_s s"
scrot --overwrite /artifacts/window.png
exit 1
